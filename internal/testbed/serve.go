package testbed

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Scheme says whether a registry speaks TLS.
type Scheme string

// The zero Scheme is HTTP. The certificate of HTTPS is valid for 127.0.0.1 and
// example.com; Client trusts it and CAFile writes it.
const (
	HTTP  Scheme = ""
	HTTPS Scheme = "https"
)

// Protocol says which versions of HTTP a registry speaks.
type Protocol string

// The zero Protocol is HTTP/1.1 alone. HTTP2 adds HTTP/2: by ALPN over TLS,
// with prior knowledge (h2c) over plain HTTP.
const (
	HTTP1 Protocol = ""
	HTTP2 Protocol = "h2"
)

// Wire says what carries the connections of a registry.
type Wire string

// The zero Wire is Loopback: a socket on 127.0.0.1. Pipes are for tests in
// virtual time; only Registry.Dial and Registry.Client reach such a registry.
const (
	Loopback Wire = ""
	Pipes    Wire = "pipes"
)

// Options choose how a registry is served. The zero value is plain HTTP/1.1
// without authentication.
type Options struct {
	Wire     Wire
	Scheme   Scheme
	Protocol Protocol
	Auth     Auth

	// Host is what a registry on Pipes is called; "" is "127.0.0.1:5000".
	Host string

	// Front wraps everything but the log: authentication and the registry.
	Front func(http.Handler) http.Handler

	// Dir is where Distribution and DockerRegistry keep content. "" is memory
	// for the first and a directory of the test for the second.
	Dir string

	// Content says what Distribution accepts; see Strict and Open.
	Content Content

	// Referrers says whether Sloppy has the referrers API.
	Referrers Referrers
}

// Registry is a running registry. Its methods may be called concurrently.
type Registry struct {
	Host   string       // "127.0.0.1:port"
	URL    string       // "http://127.0.0.1:port", no slash at the end
	Dial   Dial         // reaches it by Pipes, any address by Loopback
	Client *http.Client // trusts the certificate and speaks the protocol; sends no credentials
	Issuer *Issuer      // nil without Bearer authentication

	auth    Auth
	handler http.Handler // the registry itself, behind log, front and authentication
	cert    *x509.Certificate

	running sync.WaitGroup // handlers

	mu     sync.Mutex
	closed bool
	log    []*Request
}

// Serve runs h until the test ends. The contexts of requests end then, too, and
// their handlers are waited for.
func Serve(tb testing.TB, h http.Handler, o Options) *Registry {
	tb.Helper()
	r := &Registry{handler: h, auth: o.Auth}
	ctx, cancel := context.WithCancel(context.Background())
	inner := guard(tb, r, h, o)
	if o.Front != nil {
		inner = o.Front(inner)
	}
	var stop func()
	if o.Wire == Pipes {
		stop = servePipe(ctx, tb, r, r.record(inner), o)
	} else {
		stop = serveLoopback(ctx, r, r.record(inner), o)
	}
	if r.Issuer != nil {
		r.Issuer.settle(r.URL)
	}
	tb.Cleanup(func() {
		cancel()
		r.Client.CloseIdleConnections()
		stop()
		r.wait()
	})
	return r
}

// wait returns when no handler runs and none will: connections that a handler
// took over are not the server's any more, and stop leaves them alone.
func (r *Registry) wait() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}

// serveLoopback is the part of Serve that is about sockets.
func serveLoopback(ctx context.Context, r *Registry, h http.Handler, o Options) (stop func()) {
	s := newServer(ctx, h, o)
	r.URL, r.Host = s.URL, s.Listener.Addr().String()
	r.cert = s.Certificate()
	r.Client = client(s, o)
	r.Dial = new(net.Dialer).DialContext
	return func() {
		s.CloseClientConnections()
		s.Close()
	}
}

func newServer(ctx context.Context, h http.Handler, o Options) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.Config.ReadHeaderTimeout = time.Minute
	s.Config.ErrorLog = silent() // aborted handlers are what tests ask for
	if o.Scheme == HTTPS {
		s.EnableHTTP2 = o.Protocol == HTTP2
		s.StartTLS()
		return s
	}
	if o.Protocol == HTTP2 {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(true)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
	}
	s.Start()
	return s
}

// client returns the server's client, made to leave redirects and content
// codings alone: tests look at the wire.
func client(s *httptest.Server, o Options) *http.Client {
	t := s.Client().Transport.(*http.Transport).Clone()
	t.DisableCompression = true
	if o.Scheme == HTTP && o.Protocol == HTTP2 {
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	return &http.Client{Transport: t, CheckRedirect: stay}
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Pool returns the certificates to trust for an HTTPS registry; empty otherwise.
func (r *Registry) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	if r.cert != nil {
		p.AddCert(r.cert)
	}
	return p
}

// CAFile writes the certificate of an HTTPS registry as PEM into a directory
// of the test and returns the file's name.
func (r *Registry) CAFile(tb testing.TB) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "ca.crt")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.cert.Raw})
	if err := os.WriteFile(name, b, 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}

func silent() *log.Logger { return log.New(io.Discard, "", 0) }
