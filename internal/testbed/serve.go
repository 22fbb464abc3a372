package testbed

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drayage/dray/internal/testbed/canary"
)

// Serve serves h until the test ends. Then it cancels the contexts of requests and waits for their
// handlers.
func Serve(tb testing.TB, h http.Handler, o Options) *Registry {
	tb.Helper()
	r := &Registry{handler: h, auth: o.Auth}
	ctx, cancel := context.WithCancel(context.Background())
	inner := guard(tb, r, h, o)
	if o.Front != nil {
		inner = o.Front(inner)
	}
	inner = canary.Requests(tb, inner)
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

// guard puts authentication in front of a registry.
func guard(tb testing.TB, r *Registry, next http.Handler, o Options) http.Handler {
	tb.Helper()
	switch o.Auth.Mode {
	case Basic:
		return basic(next, o.Auth)
	case Bearer:
		r.Issuer = newIssuer(tb, o)
		return bearer(next, r.Issuer)
	}
	return next
}

func newIssuer(tb testing.TB, o Options) *Issuer {
	tb.Helper()
	i := &Issuer{auth: o.Auth, tokens: map[string]token{}, refreshs: map[string]string{}}
	if o.Auth.Realm == OtherListener {
		i.Server = Serve(tb, i, Options{Wire: o.Wire, Scheme: o.Scheme, Host: "127.0.0.1:5001"})
		i.settle(i.Server.URL)
	}
	return i
}

// wait returns when no handler runs and none will start. stop does not wait for connections that a
// handler has hijacked.
func (r *Registry) wait() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}

// serveLoopback is the part of Serve for sockets.
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
	s.Config.ErrorLog = silent() // tests cause aborted handlers on purpose
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

// client returns the server's client. It does not follow redirects or decode content codings, since
// tests look at the wire.
func client(s *httptest.Server, o Options) *http.Client {
	t := s.Client().Transport.(*http.Transport).Clone()
	t.DisableCompression = true
	if o.Scheme == HTTP && o.Protocol == HTTP2 {
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	return &http.Client{Transport: t, CheckRedirect: keepRedirect}
}

// Pool returns the certificates to trust for an HTTPS registry. It is empty otherwise.
func (r *Registry) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	if r.cert != nil {
		p.AddCert(r.cert)
	}
	return p
}

// CAFile writes the certificate of an HTTPS registry as PEM into a directory of the test and
// returns the file's name.
func (r *Registry) CAFile(tb testing.TB) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "ca.crt")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.cert.Raw})
	if err := os.WriteFile(name, b, 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}
