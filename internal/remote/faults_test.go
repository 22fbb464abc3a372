package remote_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/ref"
)

func TestF14NoUploadWaitsForAnInterimAnswer(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := noise(b, 1, mib)
		_, err := b.send(data, d)
		must(b, err)
		for _, q := range b.r.Log() {
			if q.Header.Get("Expect") != "" {
				b.Errorf("%s %s expects %q", q.Method, q.Path, q.Header.Get("Expect"))
			}
		}
	})
}

func TestF15AStreamThatIsResetIsAskedForAgain(t *testing.T) {
	o := testbed.Options{Scheme: testbed.HTTPS, Protocol: testbed.HTTP2}
	reset := hostile.LoseAnswer().On("GET", testbed.Manifest).Times(2)
	r := hostile.Serve(t, testbed.NewDistribution(t, o), o, reset)
	img := testbed.Random(t, r, "app", "v1", testbed.RandomOptions{})
	at := client(t, withHost(r, credential.Settings{CAFile: r.CAFile(t)})).Open(repo(r, "app"), remote.Use{})
	doc, err := at.Document(t.Context(), "v1")
	must(t, err)
	if doc.Digest != img.Root.Digest || reset.Fired() != 2 || r.Log()[0].Proto != "HTTP/2.0" {
		t.Errorf("%s after %d resets\n%s", doc.Digest, reset.Fired(), r.Story())
	}
}

func TestF22AnswersOfAnySizeAreReadUpToALimit(t *testing.T) {
	header := http.Header{"X-Long": {strings.Repeat("x", 300<<10)}}
	bubble(t, []*hostile.Fault{hostile.Status(200, header, "{}")}, func(b *bench) {
		_, err := b.repo.Document(b.Context(), "v1")
		wantKind(b, err, fault.Unavailable)
	})
	body := `{"errors":[{"code":"DENIED","message":"no"}]}` + strings.Repeat(" ", 8*mib)
	bubble(t, []*hostile.Fault{hostile.Status(403, nil, body)}, func(b *bench) {
		_, err := b.repo.Document(b.Context(), "v1")
		wantKind(b, err, fault.Denied)
		if len(err.Error()) > 500 {
			b.Errorf("the error text has %d bytes", len(err.Error()))
		}
		if _, out := b.r.Sent("GET", testbed.Manifest); out > 2*mib {
			b.Errorf("%d bytes were read", out)
		}
	})
}

// The proxies of the environment are read once per process, so this test runs itself in a process
// of its own.
func TestF24AProxyThatWantsALoginIsNamed(t *testing.T) {
	if os.Getenv("DRAY_TEST_BEHIND_A_PROXY") != "" {
		for _, plain := range []bool{false, true} {
			r := &testbed.Registry{Host: "registry.example"}
			_, err := client(t, withHost(r, credential.Settings{PlainHTTP: plain})).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
			name := map[bool]string{false: "HTTPS_PROXY", true: "HTTP_PROXY"}[plain]
			named := "the proxy " + os.Getenv("DRAY_TEST_BEHIND_A_PROXY") + " (from " + name + ") requires a login"
			if err == nil || !strings.HasSuffix(err.Error(), named) {
				t.Errorf("plain %v: %v", plain, err)
			}
			wantKind(t, err, fault.Denied)
		}
		return
	}
	requests := make(chan string, 16)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Method
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer proxy.Close()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestF24AProxyThatWantsALoginIsNamed$")
	child.Env = append(os.Environ(), "DRAY_TEST_BEHIND_A_PROXY="+proxy.Listener.Addr().String(), "HTTP_PROXY="+proxy.URL, "HTTPS_PROXY="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if len(requests) != 2 {
		t.Errorf("the proxy got %d requests", len(requests))
	}
}

// A proxy that refuses CONNECT is named with the variable that it is from. Only trouble of the proxy is tried again.
func TestF24AProxyThatDoesNotConnectIsNamed(t *testing.T) {
	if at := os.Getenv("DRAY_TEST_PROXY_AT"); at != "" {
		r := &testbed.Registry{Host: "registry.example"}
		o := func(o *remote.Options) { o.Retries = 1 }
		_, err := client(t, o).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
		wantKind(t, err, fault.Kind(os.Getenv("DRAY_TEST_PROXY_KIND")))
		says := "the proxy " + at + " (from https_proxy) " + os.Getenv("DRAY_TEST_PROXY_SAYS")
		if !strings.Contains(err.Error(), says) || !strings.Contains(fault.HintOf(err), "NO_PROXY") {
			t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
		}
		return
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, tt := range []struct {
		status, requests int // status 0 is a proxy that is not there
		kind             fault.Kind
		says             string
	}{
		{403, 1, fault.Refused, "refuses to connect to registry.example:443: 403 Forbidden"},
		{404, 1, fault.Refused, "refuses to connect to registry.example:443: 404 Not Found"},
		{502, 2, fault.Unavailable, "refuses to connect to registry.example:443: 502 Bad Gateway"},
		{503, 2, fault.Unavailable, "refuses to connect to registry.example:443: 503 Service Unavailable"},
		{0, 0, fault.Unavailable, "cannot be reached: dial tcp"},
	} {
		requests := make(chan string, 16)
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests <- r.Method
			w.WriteHeader(tt.status)
		}))
		at := proxy.Listener.Addr().String()
		if tt.status == 0 {
			at = gone.Listener.Addr().String()
		}
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestF24AProxyThatDoesNotConnectIsNamed$")
		child.Env = append(os.Environ(), "DRAY_TEST_PROXY_AT="+at, "DRAY_TEST_PROXY_KIND="+string(tt.kind), "DRAY_TEST_PROXY_SAYS="+tt.says,
			"HTTPS_PROXY=", "https_proxy=http://"+at, "NO_PROXY=", "no_proxy=")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%d: %v\n%s", tt.status, err, out)
		}
		proxy.Close()
		if len(requests) != tt.requests {
			t.Errorf("%d: the proxy got %d requests", tt.status, len(requests))
		}
	}
}

// What a refusal says stands in the message, and the hint is about that kind of refusal.
func TestARefusalWithoutACodeOfItsOwnHasTheWordsOfItsBodyAndAHint(t *testing.T) {
	page := func(title string) string {
		return "<html><head><title>" + title + "</title></head><body></body></html>"
	}
	for _, tt := range []struct {
		status           int
		kind, body       string
		is               fault.Kind
		says, hint, verb string
	}{
		{413, "text/html", page("413 Request Entity Too Large"), fault.TooLarge, "413 Request Entity Too Large", "client_max_body_size", "PUT"},
		{405, "application/json", `{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}`, fault.Refused, "405 UNSUPPORTED: The operation is unsupported.", "read-only", "POST"},
		{500, "application/json", `{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":"filesystem: no inodes"}]}`, fault.Unavailable, "500 UNKNOWN: filesystem: no inodes", "log of the registry", "POST"},
		{502, "text/html", page("upstream gone"), fault.Unavailable, "502 upstream gone", "proxy", "POST"},
		{503, "text/plain", "backup until noon", fault.Unavailable, "503 backup until noon", "try again later", "POST"},
		{504, "text/html", page("504 Gateway Time-out"), fault.Unavailable, "504 Gateway Time-out", "proxy", "POST"},
	} {
		f := hostile.Status(tt.status, http.Header{"Content-Type": {tt.kind}}, tt.body).On(tt.verb, "")
		bubble(t, []*hostile.Fault{f}, func(b *bench) {
			var err error
			if tt.verb == "PUT" {
				_, err = b.repo.PutDocument(b.Context(), b.document(), "v1")
			} else {
				data, d := noise(b, 1, 1000)
				_, err = b.repo.Put(b.Context(), d, nil, opener(data))
			}
			wantKind(b, err, tt.is)
			if !strings.Contains(err.Error(), "the registry answers "+tt.says) || !strings.Contains(fault.HintOf(err), tt.hint) {
				b.Errorf("%d: %v (hint: %s)", tt.status, err, fault.HintOf(err))
			}
		}, func(_ *testbed.Options, o *remote.Options) { o.Retries = 1 })
	}
}

func TestAHostThatCannotBeReachedHasAHintByItsCause(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for hint, err := range map[string]error{
		"check the spelling of the host":       dial(&net.DNSError{Err: "no such host", Name: "registry.example", IsNotFound: true}),
		"check the DNS server of this machine": dial(&net.DNSError{Err: "server misbehaving", Name: "registry.example", Server: "127.0.0.53:53", IsTemporary: true}),
		"check the port":                       dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)),
		"check the network and the firewall":   dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)),
	} {
		synctest.Test(t, func(t *testing.T) {
			c, newErr := remote.New(remote.Options{CertDirs: []string{}, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, err }})
			must(t, newErr)
			defer c.Close()
			_, got := c.Open(ref.Repo{Host: "registry.example", Path: "app"}, remote.Use{}).Resolve(t.Context(), "v1")
			wantKind(t, got, fault.Unavailable)
			if !strings.HasPrefix(fault.HintOf(got), hint) || !strings.Contains(got.Error(), err.Error()) {
				t.Errorf("%v (hint: %s), want %s", got, fault.HintOf(got), hint)
			}
		})
	}
}

func TestABlobThatTheSourceLacksHasANextStep(t *testing.T) {
	lacks := hostile.Error(404, "BLOB_UNKNOWN", "blob unknown to registry").On("GET", testbed.Blob)
	bubble(t, []*hostile.Fault{lacks}, func(b *bench) {
		_, d := b.store(1, 1<<10)
		_, _, err := b.repo.Blob(b.Context(), d, 0, -1)
		wantKind(b, err, fault.NotFound)
		if hint := fault.HintOf(err); hint != "the image is incomplete at this registry: push it there again" {
			b.Errorf("hint %q", hint)
		}
	})
}
