package remote_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
)

// certified serves TLS with a certificate of its own, which change may change. It returns the host, and the
// certificate in a file.
func certified(t *testing.T, change func(c *x509.Certificate)) (*testbed.Registry, string) {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "private ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	change(c)
	cert := certificate(t, c)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600))
	return &testbed.Registry{Host: s.Listener.Addr().String()}, file
}

// certificate signs c with a key of its own.
func certificate(t *testing.T, c *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	raw, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func TestF01TheMessageSaysWhatIsWrongWithACertificate(t *testing.T) {
	ended, begins := time.Now().Add(-48*time.Hour).UTC(), time.Now().Add(48*time.Hour).UTC()
	const layout, noHelp = "2006-01-02 15:04 UTC", "; ca-file does not help"
	clock := ", or set the clock of this machine, which says " + time.Now().UTC().Format(time.DateOnly)
	for name, tt := range map[string]struct {
		change func(c *x509.Certificate)
		says   string
		hint   string
	}{
		"expired": {
			func(c *x509.Certificate) { c.NotBefore, c.NotAfter = ended.Add(-time.Hour), ended },
			"expired on " + ended.Format(layout), "renew the certificate of HOST" + clock + noHelp,
		},
		"not yet valid": {
			func(c *x509.Certificate) { c.NotBefore, c.NotAfter = begins, begins.Add(time.Hour) },
			"is not valid before " + begins.Format(layout), clock[len(", or "):] + ", or wait" + noHelp,
		},
		"another name": {
			func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"a.example", "b.example"} },
			"the certificate of HOST is for a.example, b.example, and not for 127.0.0.1", noHelp,
		},
		"no name": {func(c *x509.Certificate) { c.IPAddresses = nil }, "is for no host, and not for 127.0.0.1", noHelp},
		"another use": {
			func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} },
			"incompatible key usage", "renew the certificate of HOST" + noHelp,
		},
	} {
		r, file := certified(t, tt.change)
		_, err := client(t, withHost(r, credential.Settings{CAFile: file})).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
		wantKind(t, err, fault.Refused)
		host := func(s string) string { return strings.ReplaceAll(s, "HOST", r.Host) }
		if !strings.Contains(err.Error(), host(tt.says)) || !strings.HasSuffix(fault.HintOf(err), host(tt.hint)) {
			t.Errorf("%s: %v (hint: %s)", name, err, fault.HintOf(err))
		}
	}
}

func TestF01AnUnknownAuthorityIsNamedWithTheFileThatLacksIt(t *testing.T) {
	r, _ := certified(t, func(*x509.Certificate) {})
	_, other := certified(t, func(*x509.Certificate) {})
	for hint, set := range map[string]credential.Settings{
		"set ca-file for " + r.Host:                            {},
		"authority CN=private ca to " + other + ", which does": {CAFile: other},
	} {
		_, err := client(t, withHost(r, set)).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
		wantKind(t, err, fault.Refused)
		if !strings.HasSuffix(err.Error(), "signed by an unknown authority, CN=private ca") || !strings.Contains(fault.HintOf(err), hint) {
			t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
		}
	}
}

// Servers answer plain http on a TLS port in different ways: in words, with a TLS alert, or not at all.
func TestF01PlainHttpToATlsPortIsNamed(t *testing.T) {
	in := func(answer string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { l.Close() })
		go answerPlain(l, certificate(t, &x509.Certificate{SerialNumber: big.NewInt(1)}), answer)
		return l.Addr().String()
	}
	overTLS := testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS})
	nginx := in("HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 59\r\nConnection: close\r\n\r\n" +
		"<html>The plain HTTP request was sent to HTTPS port\n</html>")
	for name, host := range map[string]string{
		"Go": overTLS.Host, "nginx": nginx,
		"an alert": in("\x15\x03\x01\x00\x02\x02\x46"), "nothing": in(""),
	} {
		r := &testbed.Registry{Host: host}
		c := client(t, withHost(r, credential.Settings{PlainHTTP: true}))
		_, err := c.Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
		lists := c.Repositories(t.Context(), host, remote.Use{}, func(string) error { return nil })
		for _, err := range []error{err, lists} {
			wantKind(t, err, fault.Refused)
			if !strings.Contains(err.Error(), host+" speaks TLS") || !strings.HasPrefix(fault.HintOf(err), "drop plain-http") ||
				strings.Contains(fault.HintOf(err), "name the repositories") {
				t.Errorf("%s: %v (hint: %s)", name, err, fault.HintOf(err))
			}
		}
	}
}

// answerPlain makes a TLS handshake with clients that speak TLS, and sends answer to all others.
func answerPlain(l net.Listener, cert tls.Certificate, answer string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		in := bufio.NewReader(conn)
		if first, _ := in.Peek(1); len(first) == 1 && first[0] == 0x16 { // a handshake (RFC 8446 §5.1)
			_ = tls.Server(&peeked{conn, in}, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
		} else {
			_, _ = http.ReadRequest(in)
			_, _ = io.WriteString(conn, answer)
		}
		conn.Close()
	}
}

// peeked is a connection whose first bytes were read already.
type peeked struct {
	net.Conn
	in io.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.in.Read(b) }
