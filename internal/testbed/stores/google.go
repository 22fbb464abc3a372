package stores

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// google is a proxy for CONNECT that stands in for Google's hosts: it gives out tokens, and leads everything else to
// a store.
type google struct {
	connect *http.Server // accepts CONNECT
	host    *http.Server // is every host of Google
	conns   conns
	at      string
	store   atomic.Pointer[url.URL]
}

func listenAsGoogle(cert tls.Certificate) (*google, error) {
	g := &google{conns: conns{make(chan net.Conn), make(chan struct{})}}
	main, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g.at = main.Addr().String()
	g.connect = &http.Server{Handler: http.HandlerFunc(g.serveConnect), ReadHeaderTimeout: time.Minute}
	g.host = &http.Server{
		Handler: http.HandlerFunc(g.serveHost), ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	}
	go func() { _ = g.connect.Serve(main) }()            // until close
	go func() { _ = g.host.ServeTLS(g.conns, "", "") }() // until close
	return g, nil
}

func (g *google) close() {
	_ = g.connect.Close()
	_ = g.host.Close()
}

func (g *google) proxy() string { return "http://" + g.at }

func (g *google) leadTo(tb testing.TB, at string) {
	tb.Helper()
	u, err := url.Parse(at)
	if err != nil {
		tb.Fatal(err)
	}
	g.store.Store(u)
}

func (g *google) serveConnect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || !strings.HasSuffix(r.Host, ".googleapis.com:443") {
		http.Error(w, "the tests use no other host: "+r.Host, http.StatusForbidden)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	select {
	case g.conns.waiting <- conn:
	case <-g.conns.closed:
		_ = conn.Close()
	}
}

func (g *google) serveHost(w http.ResponseWriter, r *http.Request) {
	if r.Host == "oauth2.googleapis.com" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"of-a-test","token_type":"Bearer","expires_in":3600}`)
		return
	}
	store := g.store.Load()
	(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(store)
			p.Out.Host = r.Host
		},
		ModifyResponse: func(r *http.Response) error { // the store does not know of TLS
			if path, ok := strings.CutPrefix(r.Header.Get("Location"), "http://"); ok {
				r.Header.Set("Location", "https://"+path)
			}
			return nil
		},
	}).ServeHTTP(w, r)
}

// conns is a listener for connections that were accepted elsewhere.
type conns struct {
	waiting chan net.Conn
	closed  chan struct{}
}

func (c conns) Accept() (net.Conn, error) {
	select {
	case conn := <-c.waiting:
		return conn, nil
	case <-c.closed:
		return nil, net.ErrClosed
	}
}

func (c conns) Close() error   { close(c.closed); return nil }
func (c conns) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
