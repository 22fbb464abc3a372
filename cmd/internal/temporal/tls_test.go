//go:build unix

package temporal_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/temporal"
	"github.com/drayage/dray/fault"
)

// The server of the tests has no TLS, so what ends TLS stands before it.
func TestJobsRunThroughTLS(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	secure, ca := behindTLS(t, p.temporal)
	trusted := func(c *temporal.Config) { c.URL, c.APIKey = secure+"?ca="+ca, "key" }
	q := open(t, p, trusted)
	suite.Work(t, q, 1, newRunner())
	if j := ended(t, q, submit(t, q, "done").ID); j.State != job.Done {
		t.Error(j)
	}
	if _, err := temporal.Try(t.Context(), temporal.Config{URL: secure + "?ca=" + ca}); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{secure, secure + "?tls=true", secure + "?ca=" + ca + "&server-name=other.example"} {
		if _, err := temporal.Try(t.Context(), temporal.Config{URL: wrong}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// behindTLS returns the URL of a proxy with TLS before the server of a URL, and the file with its authority.
func behindTLS(t *testing.T, text string) (secure, ca string) {
	t.Helper()
	u, err := url.Parse(text)
	must(t, err)
	web := httptest.NewTLSServer(nil) // it has a certificate for 127.0.0.1
	web.Close()
	ca = filepath.Join(t.TempDir(), "ca.pem")
	text = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))
	must(t, os.WriteFile(ca, []byte(text), 0o600))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates, NextProtos: []string{"h2"}})
	must(t, err)
	plain := u.Host
	var conns sync.Map
	var going sync.WaitGroup
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // the end of either end ends both
		to.Close()
		from.Close()
	}
	going.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp", plain)
			if err != nil {
				c.Close()
				continue
			}
			conns.Store(c, there)
			going.Go(func() { pass(c, there) })
			going.Go(func() { pass(there, c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Range(func(c, there any) bool { c.(net.Conn).Close(); there.(net.Conn).Close(); return true })
		going.Wait()
	})
	u.Host = l.Addr().String()
	return u.String(), ca
}
