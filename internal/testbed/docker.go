package testbed

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

// DockerRegistry runs Debian's docker-registry (distribution 2.8.2) with deletion enabled, on its
// own loopback port. The Registry is a reverse proxy in front of it, so that log, authentication
// and faults work as with the other registries. If the program is not installed, the test is
// skipped.
func DockerRegistry(tb testing.TB, o Options) *Registry {
	tb.Helper()
	return Serve(tb, NewDockerRegistry(tb, o), o)
}

// NewDockerRegistry returns the handler of DockerRegistry. It uses o.Dir and o.Content. Quirks of
// this version: a range that starts at the end of a blob is answered 416 with the Content-Length of
// the blob, and the connection breaks; chunks may come out of order; tags cannot be deleted; tag
// lists ignore n and last.
func NewDockerRegistry(tb testing.TB, o Options) http.Handler {
	tb.Helper()
	requireProgram(tb, "docker-registry")
	dir := o.Dir
	if dir == "" {
		dir = tb.TempDir()
	}
	config := filepath.Join(tb.TempDir(), "config.yml")
	text := fmt.Sprintf(`version: 0.1
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
  maintenance:
    uploadpurging: {enabled: false}
http: {addr: "127.0.0.1:0", secret: testbed}
`, dir)
	if o.Content == Open {
		text += "validation: {manifests: {urls: {allow: [\"^https?://\"]}}}\n"
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return proxy(start(tb, config))
}

// start runs the program until the test ends and returns its address. A shell in between ends the
// program even if the test binary dies, because the shell's stdin is then closed.
func start(tb testing.TB, config string) string {
	tb.Helper()
	cmd := exec.Command("sh", "-c", `docker-registry serve "$0" & p=$!; cat >/dev/null; kill -9 $p; wait $p`, config)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out := &listening{at: make(chan string, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // always an error: the process was killed
	})
	select {
	case at := <-out.at:
		return at
	case <-time.After(20 * time.Second):
		tb.Fatalf("docker-registry does not listen:\n%s", out.text())
		return ""
	}
}

var listeningOn = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// listening waits for the line in which the program names its port.
type listening struct {
	at chan string

	mu    sync.Mutex
	seen  bytes.Buffer
	found bool
}

func (l *listening) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.found {
		return len(p), nil
	}
	l.seen.Write(p)
	if m := listeningOn.FindSubmatch(l.seen.Bytes()); m != nil {
		l.found = true
		l.at <- string(m[1])
	}
	return len(p), nil
}

func (l *listening) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen.String()
}

// proxy passes requests on with the Host and scheme that the client used, since the registry builds
// its Locations from these.
func proxy(addr string) http.Handler {
	return &httputil.ReverseProxy{
		FlushInterval: -1,
		ErrorLog:      silent(),
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: addr})
			p.Out.Host = p.In.Host
			if p.In.TLS != nil {
				p.Out.Header.Set("X-Forwarded-Proto", "https")
			}
		},
	}
}
