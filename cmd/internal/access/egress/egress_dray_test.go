package egress_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access/egress"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/testbed"
)

// inside is a server in a private network that is not configured.
func inside(t *testing.T, h http.Handler) (address string, hits *atomic.Int64) {
	t.Helper()
	hits = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), hits
}

// astray is a registry that sends its clients to another server for requests of the kind what.
func astray(next http.Handler, what, elsewhere string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := "http://" + elsewhere + r.URL.RequestURI()
		switch blobs := strings.Contains(r.URL.Path, "/blobs/"); {
		case what == "blobs" && blobs && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		case what == "manifests" && strings.Contains(r.URL.Path, "/manifests/") && r.Method != http.MethodPut:
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		case what == "uploads" && blobs && r.Method == http.MethodPost:
			w.Header().Set("Location", "http://"+elsewhere+r.URL.Path+"session?_state=x")
			w.Header().Set("Docker-Upload-Uuid", "session")
			w.WriteHeader(http.StatusAccepted)
		case what == "tokens":
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+elsewhere+`/token",service="x",scope="repository:a:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func TestNoRegistryLeadsToAnAddressThatIsNotAllowed(t *testing.T) {
	good := testbed.NewDistribution(t, testbed.Options{})
	for _, tt := range []struct{ what, side string }{{"blobs", "source"}, {"manifests", "source"}, {"tokens", "source"}, {"uploads", "target"}, {"tokens", "target"}, {"", ""}} {
		elsewhere, hits := inside(t, testbed.NewDistribution(t, testbed.Options{}))
		from, to := good, testbed.NewDistribution(t, testbed.Options{})
		if tt.side == "source" {
			from = astray(good, tt.what, elsewhere)
		} else {
			to = astray(to, tt.what, elsewhere)
		}
		plain := testbed.Serve(t, good, testbed.Options{})
		testbed.Random(t, plain, "a", "v1", testbed.RandomOptions{})
		source, target := testbed.Serve(t, from, testbed.Options{}), testbed.Serve(t, to, testbed.Options{})
		run := func(e egress.Guard) error {
			d, err := dray.New(dray.Config{Dial: e.Dial, Settings: dray.Settings{PlainHTTP: true}, Limits: dray.Limits{Retries: 1}})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			p, err := d.PlanCopy(t.Context(), dray.CopyRequest{Source: source.Host + "/a:v1", Targets: []string{target.Host + "/b:v1"}}, nil)
			if err == nil {
				_, err = d.Apply(t.Context(), p, nil)
			}
			return err
		}
		err := run(egress.Guard{Hosts: []string{source.Host, target.Host}})
		if tt.what == "" {
			if err != nil {
				t.Fatal("a registry that does not redirect:", err)
			}
			continue
		}
		if !fault.Is(err, fault.Refused) || hits.Load() != 0 {
			t.Errorf("%s at the %s: %v, %d requests arrived", tt.what, tt.side, err, hits.Load())
		}
		// The same rule applies to the registry itself.
		if err := run(egress.Guard{}); !fault.Is(err, fault.Refused) || !strings.Contains(fault.HintOf(err), "egress.allow") {
			t.Errorf("%s at the %s: without configuration %v (%s)", tt.what, tt.side, err, fault.HintOf(err))
		}
	}
}

func TestAnAllowedNetIsFollowed(t *testing.T) {
	good := testbed.NewDistribution(t, testbed.Options{})
	plain := testbed.Serve(t, good, testbed.Options{})
	testbed.Random(t, plain, "a", "v1", testbed.RandomOptions{})
	elsewhere, hits := inside(t, good)
	source := testbed.Serve(t, astray(good, "blobs", elsewhere), testbed.Options{})
	target := testbed.Distribution(t, testbed.Options{})
	e := egress.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	d, err := dray.New(dray.Config{Dial: e.Dial, Settings: dray.Settings{PlainHTTP: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := d.PlanCopy(t.Context(), dray.CopyRequest{Source: source.Host + "/a:v1", Targets: []string{target.Host + "/b:v1"}}, nil)
	if err == nil {
		_, err = d.Apply(t.Context(), p, nil)
	}
	if err != nil || hits.Load() == 0 {
		t.Error(err, hits.Load())
	}
}

func TestTheQuestionWhetherARegistryHasTLSIsHeldToTheRulesToo(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, source, "a", "v1", testbed.RandomOptions{})
	d, err := dray.New(dray.Config{Dial: new(egress.Guard).Dial})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = d.Digest(t.Context(), dray.LookRequest{Name: source.Host + "/a:v1"}, nil)
	if !fault.Is(err, fault.Refused) || fault.HintOf(err) == "" {
		t.Error(err)
	}
}

// net/http reads the proxies of the environment once in a process. So this test runs itself in another
// process.
func TestAProxyIsNotAskedForAnAddressThatIsNotAllowed(t *testing.T) {
	if os.Getenv("DRAY_TEST_BEHIND_A_PROXY") != "" {
		e := egress.Guard{Hosts: egress.Proxies(os.Getenv)}
		d, err := dray.NewWith(dray.Config{Dial: e.Dial, Settings: dray.Settings{PlainHTTP: true}, Limits: dray.Limits{Retries: 1}}, place.Inside{Proxied: e.Proxied})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for _, host := range []string{"169.254.169.254", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]", "10.0.0.8:5000"} {
			if _, err := d.Digest(t.Context(), dray.LookRequest{Name: host + "/a:v1"}, nil); !fault.Is(err, fault.Refused) {
				t.Errorf("%s: %v", host, err)
			}
		}
		for _, host := range []string{"registry.example", "192.0.2.1:5000"} { // these requests must reach the proxy
			if _, err := d.Digest(t.Context(), dray.LookRequest{Name: host + "/a:v1"}, nil); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", host, err)
			}
		}
		return
	}
	asked := make(chan string, 16)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Host
		w.WriteHeader(http.StatusNotFound)
	}))
	defer proxy.Close()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAProxyIsNotAskedForAnAddressThatIsNotAllowed$")
	child.Env = append(os.Environ(), "DRAY_TEST_BEHIND_A_PROXY=1", "HTTP_PROXY="+proxy.URL, "HTTPS_PROXY="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	close(asked)
	seen := map[string]bool{}
	for host := range asked {
		seen[host] = true
	}
	if want := map[string]bool{"registry.example": true, "192.0.2.1:5000": true}; !maps.Equal(seen, want) {
		t.Errorf("the proxy got requests for %v", seen)
	}
}
