package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed/canary"
)

// running is a server that Run serves.
type running struct {
	t    testing.TB
	base string
	stop context.CancelFunc
	end  chan error
	http *http.Client // nil means http.DefaultClient
}

func run(tb testing.TB, c server.Config) *running {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	r := &running{t: tb, stop: cancel, end: make(chan error, 1)}
	c.Log = watched(tb, c)
	ready := make(chan net.Addr, 1)
	c.Listen = "127.0.0.1:0"
	c.Ready = func(a net.Addr) { ready <- a }
	go func() { r.end <- server.Run(ctx, c) }()
	select {
	case a := <-ready:
		r.base = "http://" + a.String()
	case err := <-r.end:
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.measures(); r.stop(); r.wait() })
	return r
}

// watched returns the log of a server that fails the test if a secret gets into it, or into a file of the server.
func watched(tb testing.TB, c server.Config) *slog.Logger {
	tb.Helper()
	if c.Data != "" {
		canary.Files(tb, c.Data)
	}
	tap := &canary.Tap{}
	tap.Check(tb, "the log")
	all := slog.NewTextHandler(tap, &slog.HandlerOptions{Level: slog.LevelDebug})
	if c.Log == nil {
		return slog.New(all)
	}
	return slog.New(slog.NewMultiHandler(c.Log.Handler(), all))
}

// measures fails the test if a secret is in the metrics of a server that still runs and shows them.
func (r *running) measures() {
	r.t.Helper()
	quick := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := quick.Get(r.base + "/metrics")
	if err != nil {
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	canary.Text(r.t, "the metrics", string(text))
}

// wait waits until Run has returned.
func (r *running) wait() {
	r.t.Helper()
	select {
	case err := <-r.end:
		if err != nil {
			r.t.Error(err)
		}
		r.end <- nil
	case <-time.After(20 * time.Second):
		r.t.Fatal("Run does not return")
	}
}

func (r *running) do(method, url string, body io.Reader) *http.Response {
	r.t.Helper()
	if strings.HasPrefix(url, "/") {
		url = r.base + url
	}
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func (r *running) want(method, url string, body io.Reader, status int) *http.Response {
	r.t.Helper()
	resp := r.do(method, url, body)
	if resp.StatusCode != status {
		r.t.Fatalf("%s %s: %s, want %d", method, url, resp.Status, status)
	}
	return resp
}

func TestAStopLetsARunningUploadEndAndTheNextStartHasIt(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := run(t, server.Config{Data: data})
	img, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	ref := func() name.Reference {
		n, err := name.ParseReference(strings.TrimPrefix(r.base, "http://") + "/app:v1")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := remote.Write(ref(), img); err != nil {
		t.Fatal(err)
	}

	content := []byte(strings.Repeat("layer", 10_000))
	at := r.want("POST", "/v2/app/blobs/uploads/", nil, 202).Header.Get("Location")
	slow, feed := io.Pipe()
	answered := make(chan int, 1)
	go func() {
		req, _ := http.NewRequest("PUT", r.base+at+"&digest="+digest.FromBytes(content).String(), slow)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	feed.Write(content[:30_000])
	path, _, _ := strings.Cut(at, "?")
	r.arrived(path, 20_000)
	r.stop()
	refused(t, strings.TrimPrefix(r.base, "http://"))
	feed.Write(content[30_000:])
	feed.Close()
	if status := <-answered; status != 201 {
		t.Fatalf("the running upload was answered %d", status)
	}
	r.wait()

	r = run(t, server.Config{Data: data})
	if _, err := remote.Image(ref()); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(r.want("GET", "/v2/app/blobs/"+digest.FromBytes(content).String(), nil, 200).Body)
	if !bytes.Equal(got, content) {
		t.Fatal("other bytes came back")
	}
}

// refused waits until no process accepts connections at addr.
func refused(t *testing.T, addr string) {
	t.Helper()
	for range 500 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		c.Close()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the address still accepts connections")
}

func TestAnUploadThatOutlastsTheGraceIsCutAndGoesOnAfterARestart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := run(t, server.Config{Data: data, Grace: 50 * time.Millisecond})
	content := []byte(strings.Repeat("0123456789", 20_000))
	at := r.want("POST", "/v2/app/blobs/uploads/", nil, 202).Header.Get("Location")
	slow, feed := io.Pipe()
	defer feed.Close()
	go func() {
		req, _ := http.NewRequest("PATCH", r.base+at, slow)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	feed.Write(content[:150_000])
	path, _, _ := strings.Cut(at, "?")
	r.arrived(path, 100_000)
	start := time.Now()
	r.stop()
	r.wait()
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("stopping took %s", took)
	}

	r = run(t, server.Config{Data: data})
	resp := r.want("GET", path, nil, 204)
	kept := lastByte(resp) + 1
	if kept < 100_000 {
		t.Fatalf("kept %d bytes", kept)
	}
	r.want("PUT", r.base+resp.Header.Get("Location")+"&digest="+digest.FromBytes(content).String(), bytes.NewReader(content[kept:]), 201)
}

// arrived waits until the upload at path holds at least n bytes. More bytes may be in buffers.
func (r *running) arrived(path string, n int) {
	r.t.Helper()
	for range 500 {
		if lastByte(r.want("GET", path, nil, 204)) >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("%d bytes never arrived", n)
}

func lastByte(resp *http.Response) (last int) {
	fmt.Sscanf(resp.Header.Get("Range"), "0-%d", &last)
	return last
}

func TestWhatStrangersReachWantsTLSAndSomebodyWhoMayLogIn(t *testing.T) {
	for _, addr := range []string{":5000", "0.0.0.0:5000", "[::]:5000", "192.0.2.1:5000", "example.org:5000"} {
		err := server.Run(t.Context(), server.Config{Listen: addr, Data: t.TempDir()})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "TLS is off") || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (hint %q)", addr, err, fault.HintOf(err))
		}
	}
	err := server.Run(t.Context(), server.Config{Listen: "0.0.0.0:0", Data: t.TempDir(), Plain: server.AllowPlain})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "no user is configured") || !strings.Contains(fault.HintOf(err), "token") {
		t.Errorf("%v (hint %q)", err, fault.HintOf(err))
	}
}

func TestWhatIsNoAddressIsSaid(t *testing.T) {
	for _, addr := range []string{"5000", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:99999"} {
		err := server.Run(t.Context(), server.Config{Listen: addr, Data: t.TempDir()})
		if !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (hint %q)", addr, err, fault.HintOf(err))
		}
	}
}

func TestAnAddressOrADirectoryInUseIsOneClearLine(t *testing.T) {
	data := t.TempDir()
	r := run(t, server.Config{Data: data})
	for _, c := range []server.Config{
		{Listen: strings.TrimPrefix(r.base, "http://"), Data: t.TempDir()},
		{Listen: "127.0.0.1:0", Data: data},
	} {
		err := server.Run(t.Context(), c)
		if !fault.Is(err, fault.Conflict) || strings.Contains(err.Error(), "\n") || fault.HintOf(err) == "" {
			t.Errorf("%v (hint %q)", err, fault.HintOf(err))
		}
	}
	r.want("GET", "/healthz", nil, 200)
}

func TestAMissingDirectoryIsSaid(t *testing.T) {
	if err := server.Run(t.Context(), server.Config{Listen: "127.0.0.1:0"}); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
}

func TestAStopBeforeTheStartLeavesNothingBehind(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	data := t.TempDir()
	if err := server.Run(ctx, server.Config{Listen: "127.0.0.1:0", Data: data}); err != nil {
		t.Fatal(err)
	}
	err := server.Run(ctx, server.Config{Listen: "localhost:0", Data: data}) // the lookup of localhost may notice that ctx has ended
	if err != nil && !fault.Is(err, fault.Canceled) {
		t.Fatal(err)
	}
	run(t, server.Config{Data: data}).want("GET", "/healthz", nil, 200)
}

func TestTheRoutesAnswer(t *testing.T) {
	r := run(t, server.Config{Data: t.TempDir()})
	r.want("GET", "/", nil, 200)
	r.want("GET", "/healthz", nil, 200)
	r.want("GET", "/v2", nil, 200) // after a redirect
	r.want("GET", "/v2/", nil, 200)
	r.want("GET", "/elsewhere", nil, 404)
}

func TestHTTP2IsSpokenWithoutTLS(t *testing.T) {
	r := run(t, server.Config{Data: t.TempDir()})
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get(r.base + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Fatal(resp.Proto, resp.Status)
	}
}

func TestAPageOfAnotherOriginMayNotWrite(t *testing.T) {
	r := run(t, server.Config{Data: t.TempDir()})
	req, _ := http.NewRequest("POST", r.base+"/v2/app/blobs/uploads/", nil)
	req.Header.Set("Origin", "https://example.org")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Fatal(resp.Status)
	}
}

// buffer is a bytes.Buffer for concurrent writers.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestTheLogTellsWhatChangedAndNotEveryProbe(t *testing.T) {
	var out buffer
	r := run(t, server.Config{Data: t.TempDir(), Log: slog.New(slog.NewTextHandler(&out, nil))})
	n, _ := name.ParseReference(strings.TrimPrefix(r.base, "http://") + "/app:v1")
	img, _ := random.Image(100, 3)
	if err := errors.Join(remote.Write(n, img), remote.Delete(n)); err != nil {
		t.Fatal(err)
	}
	r.want("GET", "/v2/app/manifests/v1", nil, 404)
	r.stop()
	r.wait()
	got := out.String()
	if strings.Count(got, "msg=request") != 2 || !strings.Contains(got, "method=PUT path=/v2/app/manifests/v1 status=201 bytes=0 took=") ||
		!strings.Contains(got, "method=DELETE path=/v2/app/manifests/v1 status=202") || strings.Contains(got, "level=WARN") {
		t.Fatalf("logged:\n%s", got)
	}
}
