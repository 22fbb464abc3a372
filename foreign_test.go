package dray_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// publisher serves the foreign layer of testbed.Foreign, and records the headers that it gets.
type publisher struct {
	*httptest.Server
	mu   sync.Mutex
	seen []http.Header
	do   http.HandlerFunc
}

const foreignLayer = "a layer that may not be distributed"

func newPublisher(t *testing.T, do http.HandlerFunc) *publisher {
	t.Helper()
	p := &publisher{do: do}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, q.Header.Clone())
		p.mu.Unlock()
		p.do(w, q)
	}))
	t.Cleanup(p.Close)
	return p
}

func serveLayer(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, foreignLayer) }

// carrying returns a Dray that copies foreign layers. If loopback is "allowed", publishers may be on this machine.
func carrying(t *testing.T, loopback string) *dray.Dray {
	t.Helper()
	in := place.Inside{}
	if loopback == "allowed" {
		in.Publishers = new(net.Dialer).DialContext
	}
	d, err := dray.NewWith(dray.Config{IncludeForeign: true, Limits: dray.Limits{Retries: 2}, Settings: dray.Settings{PlainHTTP: true}}, in)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// plainly returns a Dray that leaves foreign layers with their publishers.
func plainly(t *testing.T) *dray.Dray {
	t.Helper()
	d, err := dray.New(dray.Config{Settings: dray.Settings{PlainHTTP: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// asked returns how many requests the publisher got.
func (p *publisher) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

func copied(t *testing.T, d *dray.Dray, req dray.CopyRequest) (dray.Report, error) {
	t.Helper()
	p, err := d.PlanCopy(t.Context(), req, nil)
	if err != nil {
		return dray.Report{}, err
	}
	return d.Apply(t.Context(), p, nil)
}

// F-54: on request, a foreign layer is read from its publisher, without a login.
func TestForeignLayersAreCarriedOnRequest(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	dst := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	p := newPublisher(t, serveLayer)
	testbed.Foreign(t, src, "win", "v1", strings.Replace(p.URL, "http://", "http://me:canary-7f3a91@", 1)+"/base")
	d := carrying(t, "allowed")
	dir := filepath.Join(t.TempDir(), "win")
	for _, to := range []string{dst.Host + "/win:v1", "oci:" + dir + ":v1"} {
		rep, err := copied(t, d, dray.CopyRequest{Source: src.Host + "/win:v1", Targets: []string{to}})
		if err != nil || len(rep.Steps) != 1 {
			t.Fatalf("%s: %+v %v", to, rep, err)
		}
	}
	layer := string(oci.Sum([]byte(foreignLayer)))
	if got := dst.Direct(t, "HEAD", "/v2/win/blobs/"+layer, nil, nil, nil); got.StatusCode != http.StatusOK {
		t.Errorf("the layer is not at the target: %d", got.StatusCode)
	}
	for _, h := range p.seen {
		if h.Get("Authorization") != "" || h.Get("Cookie") != "" {
			t.Errorf("the publisher got a login: %v", h)
		}
	}
	asked := len(p.seen)
	if asked == 0 {
		t.Error("the publisher was not asked")
	}
	// From where the layer is now, the publisher is not needed.
	if _, err := copied(t, d, dray.CopyRequest{Source: "oci:" + dir + ":v1", Targets: []string{dst.Host + "/again:v1"}}); err != nil || len(p.seen) != asked {
		t.Errorf("again: %v, %d requests", err, len(p.seen)-asked)
	}
}

// A receiver without a network cannot ask a publisher: the bundle has the layer.
func TestForeignLayersTravelInABundleOnRequest(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	p := newPublisher(t, serveLayer)
	testbed.Foreign(t, src, "win", "v1", p.URL+"/base")
	d, plain := carrying(t, "allowed"), plainly(t)
	layer := string(oci.Sum([]byte(foreignLayer)))
	for _, c := range []struct {
		name         string
		create, load *dray.Dray
		there        int
	}{{"both", d, d, http.StatusOK}, {"created without", plain, plain, http.StatusNotFound}, {"loaded without", d, plain, http.StatusNotFound}} {
		dst := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
		file := filepath.Join(t.TempDir(), "win.tar")
		visit := func(dray.RepositoryReport) error { return nil }
		create := dray.BundleRequest{Transfer: dray.TransferRequest{Sources: []string{src.Host}}, To: file}
		if _, err := c.create.CreateBundle(t.Context(), create, nil, visit); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		asked := p.asked()
		if _, err := c.load.LoadBundle(t.Context(), dray.LoadRequest{Paths: []string{file}, Target: dst.Host}, nil, visit); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if p.asked() != asked {
			t.Errorf("%s: load asked the publisher", c.name)
		}
		if got := dst.Direct(t, "HEAD", "/v2/win/blobs/"+layer, nil, nil, nil); got.StatusCode != c.there {
			t.Errorf("%s: the layer at the target: %d, want %d", c.name, got.StatusCode, c.there)
		}
	}
}

// A publisher's URL is chosen by whoever made the image: it must not reach this machine or a private network.
func TestForeignLayersAreNotReadFromAddressesThatAreNotPublic(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	dst := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	p := newPublisher(t, serveLayer)
	for repo, address := range map[string]string{
		"loopback": p.URL + "/base", "named": strings.Replace(p.URL, "127.0.0.1", "localhost", 1) + "/base",
		"private": "http://10.0.0.1/base", "metadata": "http://169.254.169.254/latest", "mapped": "http://[::ffff:127.0.0.1]/base",
	} {
		testbed.Foreign(t, src, repo, "v1", address)
		_, err := copied(t, carrying(t, "refused"), dray.CopyRequest{Source: src.Host + "/" + repo + ":v1", Targets: []string{dst.Host + "/" + repo}})
		if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "read foreign layer") || !strings.Contains(fault.HintOf(err), "--include-foreign") {
			t.Errorf("%s: %v (%s)", repo, err, fault.HintOf(err))
		}
		if got := dst.Direct(t, "GET", "/v2/"+repo+"/manifests/v1", nil, nil, nil); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: the tag is set", repo)
		}
	}
	if len(p.seen) > 0 {
		t.Errorf("the publisher on this machine was asked %d times", len(p.seen))
	}
}

// The connection that a redirect leads to is checked like the first one.
func TestARedirectOfAPublisherToAPrivateAddressIsRefused(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	dst := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	inside := newPublisher(t, serveLayer)
	p := newPublisher(t, func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, strings.Replace(inside.URL, "127.0.0.1", "127.0.0.2", 1)+"/x", http.StatusFound)
	})
	testbed.Foreign(t, src, "win", "v1", "http://publisher.example/base")
	in := place.Inside{Publishers: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "publisher.example:80" {
			return nil, &fault.Fault{Kind: fault.Refused, Err: io.ErrClosedPipe}
		}
		return new(net.Dialer).DialContext(ctx, network, p.Listener.Addr().String())
	}}
	d, err := dray.NewWith(dray.Config{IncludeForeign: true, Limits: dray.Limits{Retries: 2}, Settings: dray.Settings{PlainHTTP: true}}, in)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = copied(t, d, dray.CopyRequest{Source: src.Host + "/win:v1", Targets: []string{dst.Host + "/win"}})
	if !fault.Is(err, fault.Refused) || len(inside.seen) > 0 || len(p.seen) == 0 {
		t.Errorf("%v; %d requests inside, %d at the publisher", err, len(inside.seen), len(p.seen))
	}
}

func TestAPublisherThatSendsOtherBytesSetsNoTag(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	dst := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	for name, tt := range map[string]struct {
		do   http.HandlerFunc
		kind fault.Kind
	}{
		"wrong":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.ToUpper(foreignLayer)) }, fault.Corrupt},
		"absent": {http.NotFound, fault.NotFound},
		"closed": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, fault.Denied},
	} {
		p := newPublisher(t, tt.do)
		testbed.Foreign(t, src, name, "v1", p.URL+"/base")
		_, err := copied(t, carrying(t, "allowed"), dray.CopyRequest{Source: src.Host + "/" + name + ":v1", Targets: []string{dst.Host + "/" + name}})
		if !fault.Is(err, tt.kind) {
			t.Errorf("%s: %v", name, err)
		}
		if got := dst.Direct(t, "GET", "/v2/"+name+"/manifests/v1", nil, nil, nil); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: the tag is set", name)
		}
	}
}
