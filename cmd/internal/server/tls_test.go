package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/fault"
)

// authority is a certificate authority for tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	a.cert = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, key)
	return a
}

func (a *authority) sign(c *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent := a.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// pair writes a certificate for name and its key to dir.
func (a *authority) pair(dir, name string, hosts ...string) (cert, key string) {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: append(hosts, "localhost"),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature}, k)
	raw, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	a.write(key, "EC PRIVATE KEY", raw)
	a.write(cert, "CERTIFICATE", c.Raw)
	return cert, key
}

func (a *authority) write(path, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) client(certs ...tls.Certificate) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certs}}}
}

func TestTLSIsServedAndItsCertificateReadAgain(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.pair(dir, "first")
	r := run(t, server.Config{Data: t.TempDir(), TLS: server.TLS{Cert: cert, Key: key}})
	r.base = strings.Replace(r.base, "http:", "https:", 1)
	r.http = ca.client()
	name := func() string {
		t.Helper()
		resp := r.as("", "GET", "/healthz", nil)
		if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
			t.Fatal(resp.Status, resp.Proto)
		}
		return resp.TLS.PeerCertificates[0].Subject.CommonName
	}
	if got := name(); got != "first" {
		t.Fatal(got)
	}
	// A certificate that cannot be read changes nothing.
	if err := os.WriteFile(cert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	hup(t)
	if got := name(); got != "first" {
		t.Fatal(got)
	}
	ca.pair(dir, "second")
	hup(t)
	for i := 0; name() != "second"; i++ {
		if i == 500 {
			t.Fatal("the new certificate is not served")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func hup(t *testing.T) {
	t.Helper()
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(syscall.SIGHUP)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestClientsShowWhoTheyAreByCertificate(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.pair(t.TempDir(), "server")
	theirs := newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "clients.pem")
	theirs.write(caFile, "CERTIFICATE", theirs.cert.Raw)
	r := run(t, server.Config{Data: t.TempDir(), TLS: server.TLS{Cert: cert, Key: key, ClientCA: caFile}, Roles: map[string]access.Role{"ci": access.Admin}})
	r.base = strings.Replace(r.base, "http:", "https:", 1)

	r.http = ca.client()
	if got := r.as("", "GET", "/v2/", nil).StatusCode; got != 401 {
		t.Errorf("without a certificate: %d", got)
	}
	shown, err := tls.LoadX509KeyPair(theirs.pair(t.TempDir(), "ci"))
	if err != nil {
		t.Fatal(err)
	}
	r.http = ca.client(shown)
	if got := r.pushBlob("", "app", "content"); got != 201 {
		t.Errorf("with a certificate: %d", got)
	}
	foreign, err := tls.LoadX509KeyPair(ca.pair(t.TempDir(), "ci"))
	if err != nil {
		t.Fatal(err)
	}
	r.http = ca.client(foreign)
	if resp, err := r.http.Get(r.base + "/v2/"); err == nil {
		resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Error("a certificate of another authority is taken")
		}
	}
}

func TestACertificateThatDoesNotReadStopsTheStart(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.pem")
	if err := os.WriteFile(bad, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []server.TLS{{Cert: bad, Key: bad}, {Cert: filepath.Join(dir, "none"), Key: bad}, {Cert: bad}, {ClientCA: bad}} {
		err := server.Run(t.Context(), server.Config{Listen: "127.0.0.1:0", Data: t.TempDir(), TLS: c})
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
