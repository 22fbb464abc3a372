package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// guarded returns a registry that requires tokens, with a fault that points to a canary.
func guarded(t *testing.T, newFault func(c *hostile.Canary) *hostile.Fault) (*testbed.Registry, *hostile.Canary) {
	t.Helper()
	c := hostile.Elsewhere(t, testbed.Options{})
	o := testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer}}
	return hostile.Serve(t, testbed.NewDistribution(t, o), o, newFault(c)), c
}

// TestF20F26F37F67NoCredentialLeavesItsOrigin leads requests to a canary in every way that leaves
// the registry's origin.
func TestF20F26F37F67NoCredentialLeavesItsOrigin(t *testing.T) {
	few := func(o *remote.Options) { o.Retries = -1 }
	read := func(r *remote.Repository) error {
		_, d := noise(t, 1, 1000)
		body, _, err := r.Blob(t.Context(), d, 0, -1)
		if err == nil {
			body.Close()
		}
		return err
	}
	for name, c := range map[string]struct {
		fault   func(c *hostile.Canary) *hostile.Fault
		do      func(*remote.Repository) error
		visited bool
		kind    fault.Kind
	}{
		"blob redirect": {func(c *hostile.Canary) *hostile.Fault { return hostile.RedirectTo(c.URL+"/x?sig=1-canary-7f3a91", 0) }, read, true, fault.NotFound},
		"token realm":   {func(c *hostile.Canary) *hostile.Fault { return hostile.RealmTo(c.URL + "/token") }, read, false, fault.Refused},
		"upload location": {func(c *hostile.Canary) *hostile.Fault {
			return hostile.LocationTo(func(string) string { return c.URL + "/upload?state=1" })
		}, func(r *remote.Repository) error {
			data, d := noise(t, 1, 1000)
			_, err := r.Put(t.Context(), d, nil, opener(data))
			return err
		}, true, ""},
		"link": {func(c *hostile.Canary) *hostile.Fault { return hostile.LinkTo(c.URL + "/v2/app/tags/list") }, func(r *remote.Repository) error {
			return r.List(t.Context(), func(oci.Listed) error { return nil })
		}, false, fault.Refused},
		"manifest redirect": {func(c *hostile.Canary) *hostile.Fault {
			return hostile.RedirectTo(c.URL+"/m", 302).On("GET", testbed.Manifest)
		}, func(r *remote.Repository) error {
			_, err := r.Document(t.Context(), "v1")
			return err
		}, true, fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			r, canary := guarded(t, c.fault)
			testbed.Random(t, r, "app", "v1", testbed.RandomOptions{})
			data, d := noise(t, 1, 1000)
			if name == "blob redirect" {
				r.Blob(t, "app", d.MediaType, data)
			}
			e := &events{}
			err := c.do(client(t, withLogin, few).Open(repo(r, "app"), remote.Use{Actions: remote.Push, Observe: e.watch()}))
			wantKind(t, err, c.kind)
			if heard := canary.Credentials(); len(heard) > 0 {
				t.Errorf("the canary received %q", heard)
			}
			if visited := canary.Requests() > 0; visited != c.visited {
				t.Errorf("visited: %v, want %v (%v)", visited, c.visited, err)
			}
			for _, v := range e.requests {
				if strings.Contains(v.URL, "sig=1") || strings.Contains(v.URL, "state=1") {
					t.Errorf("an event contains the secret URL %s", v.URL)
				}
			}
		})
	}
}

func TestF26ARealmElsewhereGetsALoginOnlyWhereTokenHostsSays(t *testing.T) {
	a := testbed.Auth{Mode: testbed.Bearer, Realm: testbed.OtherListener, Anonymous: testbed.Pull}
	r := testbed.Distribution(t, testbed.Options{Auth: a})
	testbed.Random(t, r, "app", "v1", testbed.RandomOptions{})

	_, err := client(t, withLogin).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
	wantKind(t, err, fault.Refused)
	if !strings.Contains(err.Error(), r.Issuer.Server.Host) || !strings.Contains(fault.HintOf(err), "token-hosts") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
	_, err = client(t).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
	must(t, err)
	_, err = client(t, withLogin, withHost(r, credential.Settings{TokenHosts: []string{r.Issuer.Server.Host}})).
		Open(repo(r, "app"), remote.Use{Actions: remote.Push}).Resolve(t.Context(), "v1")
	must(t, err)
}

// A private authority usually signs the certificates of the registry and of its token service.
func TestF26TheAuthoritiesOfARegistryCountForItsTokenHosts(t *testing.T) {
	a := testbed.Auth{Mode: testbed.Bearer, Realm: testbed.OtherListener}
	r := testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS, Auth: a})
	testbed.Random(t, r, "app", "v1", testbed.RandomOptions{})
	file, issuer := r.CAFile(t), r.Issuer.Server.Host
	certs := t.TempDir()
	must(t, os.Mkdir(filepath.Join(certs, r.Host), 0o700))
	must(t, os.Symlink(file, filepath.Join(certs, r.Host, "ca.crt")))
	inCerts := func(o *remote.Options) { o.CertDirs = []string{certs} }
	ca, hosts := credential.Settings{CAFile: file}, []string{issuer}
	for name, options := range map[string][]func(*remote.Options){
		"ca-file":                       {withHost(r, credential.Settings{CAFile: file, TokenHosts: hosts})},
		"certs.d":                       {withHost(r, credential.Settings{TokenHosts: hosts}), inCerts},
		"a token host of its own":       {withHost(r, credential.Settings{CAFile: file, TokenHosts: hosts}), withHost(r.Issuer.Server, credential.Settings{Connections: 3})},
		"a token host with its ca-file": {withHost(r, credential.Settings{CAFile: file, TokenHosts: hosts}), withHost(r.Issuer.Server, ca)},
	} {
		_, err := client(t, append(options, withLogin)...).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The authorities of one registry count for no other host.
	other := testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS})
	c := client(t, withHost(r, credential.Settings{CAFile: file, TokenHosts: hosts}), func(o *remote.Options) { o.Retries = -1 })
	_, err := c.Open(repo(other, "app"), remote.Use{}).Resolve(t.Context(), "v1")
	wantKind(t, err, fault.Refused)
}

func TestF20RedirectsThatMustNotBeFollowed(t *testing.T) {
	inside := map[string]bool{"metadata": true, "private": true, "mapped": true, "unspecified": true}
	for name, to := range map[string]string{
		"other scheme":   "ftp://127.0.0.1/x",
		"userinfo":       "http://a:b@127.0.0.1/x",
		"file":           "file:///etc/passwd",
		"http elsewhere": "http://registry.example/x",
		"metadata":       "https://169.254.169.254/latest",
		"private":        "https://10.0.0.1/x",
		"mapped":         "https://[::ffff:10.0.0.1]/x",
		"unspecified":    "https://0.0.0.0/x",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{hostile.RedirectTo(to, 307)}, func(b *bench) {
				_, d := b.store(1, 10)
				_, _, err := b.repo.Blob(b.Context(), d, 0, -1)
				wantKind(b, err, fault.Refused)
				if inside[name] && !strings.Contains(err.Error(), "an address that is not public") {
					b.Error(err)
				}
				b.count("", "", 1)
			})
		})
	}
	bubble(t, []*hostile.Fault{hostile.RedirectTo("?again", 307)}, func(b *bench) {
		_, d := b.store(1, 10)
		_, _, err := b.repo.Blob(b.Context(), d, 0, -1)
		wantKind(b, err, fault.Refused)
		b.count("", "", 6)
	})
}

func TestF20HttpsNeverLeadsToHttp(t *testing.T) {
	canary := hostile.Elsewhere(t, testbed.Options{})
	o := testbed.Options{Scheme: testbed.HTTPS}
	r := hostile.Serve(t, testbed.NewDistribution(t, o), o, hostile.RedirectTo(canary.URL, 0))
	data, d := noise(t, 1, 10)
	r.Blob(t, "app", d.MediaType, data)
	_, _, err := client(t, withHost(r, credential.Settings{CAFile: r.CAFile(t)})).Open(repo(r, "app"), remote.Use{}).Blob(t.Context(), d, 0, -1)
	wantKind(t, err, fault.Refused)
	if canary.Requests() != 0 {
		t.Error("the redirect was followed")
	}
}

func TestF26ATokenServiceWithoutTlsGetsNothingFromARegistryWithTls(t *testing.T) {
	canary := hostile.Elsewhere(t, testbed.Options{})
	o := testbed.Options{Scheme: testbed.HTTPS, Auth: testbed.Auth{Mode: testbed.Bearer}}
	r := hostile.Serve(t, testbed.NewDistribution(t, o), o, hostile.RealmTo(canary.URL+"/token"))
	c := client(t, withLogin, withHost(r, credential.Settings{CAFile: r.CAFile(t), TokenHosts: []string{canary.Host}}))
	_, err := c.Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
	wantKind(t, err, fault.Refused)
	if canary.Requests() != 0 {
		t.Error(canary.Story())
	}
}

func TestASignatureThatRanOutIsWrittenAnew(t *testing.T) {
	data, d := noise(t, 1, 1000)
	visits := 0
	storage := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if visits++; visits == 1 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write(data)
	}), testbed.Options{})
	r := testbed.Serve(t, http.RedirectHandler(storage.URL+"/signed", http.StatusTemporaryRedirect), testbed.Options{})
	body, _, err := client(t).Open(repo(r, "app"), remote.Use{}).Blob(t.Context(), d, 0, -1)
	must(t, err)
	defer body.Close()
	got, err := io.ReadAll(body)
	must(t, err)
	if !bytes.Equal(got, data) || r.Requests() != 2 {
		t.Errorf("%d bytes, %d requests", len(got), r.Requests())
	}
}

// misspelled are the ways in which a registry behind a proxy that terminates TLS writes its own
// address.
var misspelled = map[string]func(string) string{
	"http of the same name": func(s string) string { return strings.Replace(s, "https://", "http://", 1) },
	"http without a port":   func(s string) string { return ownPort.ReplaceAllString(s, "http://127.0.0.1/") },
	"http with http's port": func(s string) string { return ownPort.ReplaceAllString(s, "http://127.0.0.1:80/") },
	"no scheme":             func(s string) string { return strings.TrimPrefix(strings.TrimPrefix(s, "https:"), "http:") },
	"nothing but the path":  func(s string) string { u, _ := url.Parse(s); return u.RequestURI() },
	"the right address":     func(s string) string { return s },
}

var ownPort = regexp.MustCompile(`^https?://127\.0\.0\.1:\d+/`)

func TestF67LocationsThatAreRelativeOrMisspelledAreUsed(t *testing.T) {
	for name, rewrite := range misspelled {
		t.Run(name, func(t *testing.T) {
			o := testbed.Options{Scheme: testbed.HTTPS}
			r := hostile.Serve(t, testbed.NewDistribution(t, o), o, hostile.LocationTo(rewrite))
			to := client(t, withHost(r, credential.Settings{CAFile: r.CAFile(t)})).Open(repo(r, "app"), remote.Use{Actions: remote.Push})
			data, d := noise(t, 1, 1000)
			_, err := to.Put(t.Context(), d, nil, opener(data))
			must(t, err)
		})
	}
	bubble(t, []*hostile.Fault{hostile.LocationTo(func(string) string { return "http://u:p@127.0.0.1:5000/x" })}, func(b *bench) {
		data, d := noise(b, 1, 1000)
		_, err := b.repo.Put(b.Context(), d, nil, opener(data))
		wantKind(b, err, fault.Refused)
	})
}

// A realm gets the login, and a page and a blob are read, as if the registry had written https and
// its own port.
func TestF26F37ARealmALinkAndARedirectThatAreMisspelledAreUsed(t *testing.T) {
	for name, rewrite := range misspelled {
		t.Run(name, func(t *testing.T) {
			var r *testbed.Registry
			own := func(path string) string { return rewrite(r.URL + path) }
			change := func(kind testbed.Kind, change func(w http.ResponseWriter, q *http.Request) (done bool)) func(http.Handler) http.Handler {
				return func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
						if testbed.Parse(q.URL.Path).Kind != kind || !change(w, q) {
							next.ServeHTTP(w, q)
						}
					})
				}
			}
			link := change(testbed.Tags, func(w http.ResponseWriter, q *http.Request) bool {
				if q.URL.Query().Get("last") == "" {
					w.Header().Set("Link", "<"+own("/v2/app/tags/list?last=v1")+`>; rel="next"`)
				}
				return false
			})
			redirect := change(testbed.Blob, func(w http.ResponseWriter, q *http.Request) bool {
				if q.URL.RawQuery != "" {
					return false
				}
				w.Header().Set("Location", own(q.URL.Path+"?sig=1-canary-7f3a91"))
				w.WriteHeader(http.StatusTemporaryRedirect)
				return true
			})
			realm := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					hostile.Wrap(next, hostile.RealmTo(own("/token"))).ServeHTTP(w, q)
				})
			}
			r = testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS, Auth: testbed.Auth{Mode: testbed.Bearer},
				Front: func(next http.Handler) http.Handler { return realm(link(redirect(next))) }})
			testbed.Random(t, r, "app", "v1", testbed.RandomOptions{})
			data, d := noise(t, 1, 1000)
			r.Blob(t, "app", d.MediaType, data)
			at := client(t, withLogin, withHost(r, credential.Settings{CAFile: r.CAFile(t)})).Open(repo(r, "app"), remote.Use{})
			var seen []string
			must(t, at.List(t.Context(), func(l oci.Listed) error { seen = append(seen, l.Tag); return nil }))
			if n := r.Count("GET", testbed.Tags); len(seen) != 1 || n < 2 {
				t.Errorf("tags %v in %d requests", seen, n)
			}
			body, _, err := at.Blob(t.Context(), d, 0, -1)
			must(t, err)
			defer body.Close()
			got, err := io.ReadAll(body)
			must(t, err)
			if !bytes.Equal(got, data) {
				t.Errorf("%d bytes", len(got))
			}
		})
	}
}

// An inner name in an answer is the registry's own mistake, so the error says what to set there, and
// no other try is made.
func TestF67AnInnerAddressIsRefusedWithWhatToSet(t *testing.T) {
	for name, to := range map[string]string{
		"http of another port":  "http://127.0.0.1:1/v2/app/blobs/uploads/x",
		"http of an inner name": "http://registry:5000/v2/app/blobs/uploads/x",
		"an inner name":         "https://registry:5000/v2/app/blobs/uploads/x",
		"a service's name":      "https://core.harbor.svc/v2/app/blobs/uploads/x",
		"an inner address":      "https://10.0.0.7/v2/app/blobs/uploads/x",
		"no address":            "ftp://registry/x",
	} {
		t.Run(name, func(t *testing.T) {
			o := testbed.Options{Scheme: testbed.HTTPS}
			r := hostile.Serve(t, testbed.NewDistribution(t, o), o, hostile.LocationTo(func(string) string { return to }))
			unknown := func(o *remote.Options) {
				o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if addr == r.Host {
						return r.Dial(ctx, network, addr)
					}
					return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}}
				}
			}
			at := client(t, withHost(r, credential.Settings{CAFile: r.CAFile(t)}), unknown).Open(repo(r, "app"), remote.Use{Actions: remote.Push})
			data, d := noise(t, 1, 1000)
			_, err := at.Put(t.Context(), d, nil, opener(data))
			wantKind(t, err, fault.Refused)
			for _, word := range []string{"Host", "X-Forwarded-Proto", "external_url", "relativeurls"} {
				if !strings.Contains(fault.HintOf(err), word) {
					t.Errorf("%v (%s)", err, fault.HintOf(err))
				}
			}
			if n := r.Count("POST", testbed.Upload); n != 1 {
				t.Errorf("%d tries", n)
			}
		})
	}
}

func TestF20AStorageThatIsInsideIsRefusedWithWhatToSet(t *testing.T) {
	r := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.RedirectTo("https://10.0.0.7/x", 307))
	data, d := noise(t, 1, 10)
	r.Blob(t, "app", d.MediaType, data)
	_, _, err := client(t).Open(repo(r, "app"), remote.Use{}).Blob(t.Context(), d, 0, -1)
	wantKind(t, err, fault.Refused)
	if !strings.Contains(fault.HintOf(err), "storage.redirect.disable") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}

func TestF01ACertificateThatNobodyVouchesForIsRefusedWithoutAnotherTry(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS})
	_, err := client(t).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
	wantKind(t, err, fault.Refused)
	if !strings.Contains(fault.HintOf(err), "ca-file") {
		t.Error(fault.HintOf(err))
	}
	_, err = client(t, withHost(r, credential.Settings{Insecure: true})).Open(repo(r, "app"), remote.Use{Target: true}).Resolve(t.Context(), "v1")
	wantKind(t, err, fault.NotFound)
	if r.Requests() != 1 {
		t.Error(r.Story())
	}
}

func TestPlainHttpIsForLoopbackAndByConfigurationOnly(t *testing.T) {
	c := client(t, func(o *remote.Options) { o.Hosts = map[string]credential.Settings{"plain.example": {PlainHTTP: true}} })
	must(t, c.Pin("plain.example", "http"))
	must(t, c.Pin("localhost:5000", "http"))
	must(t, c.Pin("registry.example", "https"))
	wantKind(t, c.Pin("registry.example", "http"), fault.Invalid)
	wantKind(t, c.Pin("plain.example", "https"), fault.Invalid)
	wantKind(t, c.Pin("registry.example", "ftp"), fault.Invalid)
}

func TestABlobsBytesGoOverHttp1AndTheRestOverHttp2(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS, Protocol: testbed.HTTP2})
	to := client(t, withHost(r, credential.Settings{CAFile: r.CAFile(t)})).Open(repo(r, "app"), remote.Use{Actions: remote.Push})
	doc, blobs := put(t, to, "v1")
	check(t, to, doc, blobs, "v1")
	for _, q := range r.Log() {
		want := "HTTP/2.0"
		if q.Kind == testbed.Blob && q.Method == http.MethodGet || q.Kind == testbed.Upload && q.Method == http.MethodPut {
			want = "HTTP/1.1"
		}
		if q.Proto != want {
			t.Errorf("%s %s over %s", q.Method, q.Path, q.Proto)
		}
	}
}

func TestAMirrorIsReadFirstAndItsTroubleIsNone(t *testing.T) {
	home, mirror := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	img := testbed.Random(t, home, "app", "v1", testbed.RandomOptions{})
	c := client(t, withHost(home, credential.Settings{Mirrors: []string{mirror.Host}}))
	r := c.Open(repo(home, "app"), remote.Use{})
	for range 2 {
		d, err := r.Resolve(t.Context(), string(img.Root.Digest))
		must(t, err)
		if d.Digest != img.Root.Digest {
			t.Error(d)
		}
		testbed.Random(t, mirror, "app", "v1", testbed.RandomOptions{})
	}
	if home.Requests() != 1 || mirror.Requests() != 2 {
		t.Errorf("%d requests to the registry, %d to the mirror", home.Requests(), mirror.Requests())
	}
}

func TestNoEventAndNoErrorShowsASecret(t *testing.T) {
	secret := credential.Login{User: "user", Password: credential.New("s3cret-canary-7f3a91")}
	o := testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, Users: map[string]string{"user": "s3cret-canary-7f3a91"}}}
	r := testbed.Distribution(t, o)
	e := &events{}
	to := client(t).Open(repo(r, "app"), remote.Use{Actions: remote.Push, Login: &secret, Observe: e.watch()})
	put(t, to, "v1")
	_, err := to.Resolve(t.Context(), "absent")
	wantKind(t, err, fault.NotFound)
	shown := fmt.Sprintf("%+v %#v %+v %#v", e.all, e.all, err, err)
	for _, bad := range []string{"s3cret", "Bearer", "sha256%3A", "_state=z", "digest=sha256"} {
		if strings.Contains(shown, bad) {
			t.Errorf("%q shows", bad)
		}
	}
	if len(e.requests) != r.Requests() {
		t.Errorf("%d events for %d requests", len(e.requests), r.Requests())
	}
	var sent int64
	for _, v := range e.requests {
		sent += v.Sent
	}
	if in, _ := r.Sent("", ""); in != sent {
		t.Errorf("events report %d bytes, %d arrived", sent, in)
	}
}

// A mirror that is out of date would make a target look up to date that is not.
func TestATargetIsNeverLookedAtThroughAMirror(t *testing.T) {
	home, mirror := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, mirror, "app", "v1", testbed.RandomOptions{})
	c := client(t, withHost(home, credential.Settings{Mirrors: []string{mirror.Host}}))
	_, err := c.Open(repo(home, "app"), remote.Use{Actions: remote.Push}).Resolve(t.Context(), "v1")
	wantKind(t, err, fault.NotFound)
	if mirror.Requests() != 0 {
		t.Errorf("the mirror got requests:\n%s", mirror.Story())
	}
}
