package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/drayage/dray/fault"
)

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// users writes an htpasswd file from pairs of a user and a password.
func users(tb testing.TB, pairs ...string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "users.htpasswd")
	writeFile(tb, path, lines(tb, pairs...))
	return path
}

func lines(tb testing.TB, pairs ...string) string {
	tb.Helper()
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		hash, err := bcrypt.GenerateFromPassword([]byte(pairs[i+1]), bcrypt.MinCost)
		if err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(&b, "%s:%s\n", pairs[i], hash)
	}
	return b.String()
}

func TestUsersOfTheHtpasswdFileComeInAndTheFileIsReadAgain(t *testing.T) {
	path := users(t, "alice", "secret: with a colon", "bob", "other")
	a := open(t, Config{Htpasswd: path, Roles: map[string]Role{"alice": Admin}})
	for range 2 { // the second time, the password is remembered
		p, err := a.Authenticate(request("Basic " + basic("alice", "secret: with a colon")))
		if want := (Principal{Name: "alice", Role: Admin, Via: ViaHtpasswd}); err != nil || p != want {
			t.Fatalf("%+v %v", p, err)
		}
	}
	if p, err := a.Authenticate(request("Basic " + basic("bob", "other"))); err != nil || p.Role != Reader {
		t.Errorf("%+v %v", p, err)
	}
	for name, h := range map[string]string{"wrong": basic("alice", "other"), "unknown": basic("carol", "other"), "empty": basic("", ""), "user alone": base64.StdEncoding.EncodeToString([]byte("alice")), "no base64": "!!", "local": basic(Local, "other")} {
		if p, err := a.Authenticate(request("Basic " + h)); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	_, err := a.Authenticate(request("Bearer other"))
	wantKind(t, err, fault.Denied)

	writeFile(t, path, lines(t, "alice", "changed"))
	later := time.Now().Add(time.Minute) // two changes within one tick of the file system's clock cannot be told apart
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	_, err = a.Authenticate(request("Basic " + basic("alice", "secret: with a colon")))
	wantKind(t, err, fault.Denied)
	if _, err := a.Authenticate(request("Basic " + basic("alice", "changed"))); err != nil {
		t.Error(err)
	}
	// With a broken file no user has access, not even those of the old file.
	writeFile(t, path, "alice:plain\n")
	if _, err := a.Authenticate(request("Basic " + basic("alice", "changed"))); err == nil {
		t.Error("a user has access with a broken file")
	}
}

func TestAnHtpasswdFileThatIsNotBcryptIsRefused(t *testing.T) {
	for name, content := range map[string]string{
		"md5": "alice:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/", "sha1": "alice:{SHA}5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8", "plain": "alice:canary-7f3a91",
		"no colon": "canary-7f3a91", "twice": lines(t, "a", "x") + lines(t, "a", "y"), "a name that is made up": lines(t, Local, "x"),
	} {
		path := filepath.Join(t.TempDir(), "f")
		writeFile(t, path, content)
		_, err := Open(t.Context(), Config{DB: database(t), Vault: testVault(t), Htpasswd: path})
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Open(t.Context(), Config{DB: database(t), Vault: testVault(t), Htpasswd: "/nowhere/f"})
	wantKind(t, err, fault.Invalid)
}

// authority is a certificate authority.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	ca := &authority{t: tb, key: key}
	ca.cert = ca.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "test ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, &key.PublicKey)
	return ca
}

func (ca *authority) sign(c *x509.Certificate, pub any) *x509.Certificate {
	ca.t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := ca.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return cert
}

func (ca *authority) client(c *x509.Certificate) tls.Certificate {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return tls.Certificate{Certificate: [][]byte{ca.sign(c, &key.PublicKey).Raw}, PrivateKey: key}
}

func (ca *authority) file() string {
	path := filepath.Join(ca.t.TempDir(), "ca.pem")
	writeFile(ca.t, path, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})))
	return path
}

func TestClientCertificatesNameTheirHolders(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	a := open(t, Config{ClientCA: ca.file(), Roles: map[string]Role{"spiffe://example/ci": Submitter}})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := a.Authenticate(r)
		if err != nil {
			w.WriteHeader(401)
			return
		}
		fmt.Fprint(w, p.Name, " ", p.Role, " ", p.Via)
	}))
	pool, err := a.ClientCAs()
	if err != nil {
		t.Fatal(err)
	}
	srv.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	srv.StartTLS()
	defer srv.Close()
	spiffe := &url.URL{Scheme: "spiffe", Host: "example", Path: "/ci"}
	for want, c := range map[string]tls.Certificate{
		"spiffe://example/ci submitter certificate": ca.client(&x509.Certificate{URIs: []*url.URL{spiffe}, EmailAddresses: []string{"a@example"}, Subject: pkix.Name{CommonName: "cn"}}),
		"a@example reader certificate":              ca.client(&x509.Certificate{EmailAddresses: []string{"a@example"}, Subject: pkix.Name{CommonName: "cn"}}),
		"cn reader certificate":                     ca.client(&x509.Certificate{Subject: pkix.Name{CommonName: "cn"}}),
		"401 nobody":                                ca.client(&x509.Certificate{}),
		"401 local":                                 ca.client(&x509.Certificate{Subject: pkix.Name{CommonName: Local}}),
		"401 none":                                  {},
		"refused":                                   stranger.client(&x509.Certificate{Subject: pkix.Name{CommonName: "cn"}}),
	} {
		config := &tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }}
		tr := &http.Transport{TLSClientConfig: config}
		resp, err := (&http.Client{Transport: tr}).Get(srv.URL)
		got := "refused"
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			got = string(body)
			if resp.StatusCode == 401 {
				got = "401"
			}
		}
		tr.CloseIdleConnections()
		if !strings.HasPrefix(want, got) || got == "" {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// A certificate that TLS did not verify is ignored, and a correct certificate does not make up for
	// a wrong Authorization.
	leaf := ca.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "cn"}}, &ca.key.PublicKey)
	r := request("")
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	_, err = a.Authenticate(r)
	wantKind(t, err, fault.Denied)
	r = request("Bearer nonsense")
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	_, err = a.Authenticate(r)
	wantKind(t, err, fault.Denied)
}

func TestWhatIssueMakesIsTakenAsItsOwnerIsUntilItEnds(t *testing.T) {
	c := newClock()
	file := users(t, "alice", "secret")
	a := open(t, Config{Clock: c.now, Htpasswd: file})
	text := token(t, a, "ci", Submitter)
	p, err := a.Identify(t.Context(), "whoever", text)
	if err != nil {
		t.Fatal(err)
	}
	jwt, ends, err := a.Issue(p, time.Hour, map[string]any{"tid": "x", "sub": "root", "dray_role": "admin", "exp": 1 << 60, "iss": "https://elsewhere"})
	if err != nil || !ends.Equal(c.now().Add(time.Hour)) {
		t.Fatal(ends, err)
	}
	if got, err := a.Authenticate(request("Bearer " + jwt)); err != nil || got != p {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := a.Authenticate(request("Basic " + basic("00000000-0000-0000-0000-000000000000", jwt))); err != nil || got != p {
		t.Errorf("%+v %v", got, err)
	}
	if _, ends, _ := a.Issue(p, 100*time.Hour, nil); !ends.Equal(c.now().Add(MaxSession)) {
		t.Error(ends)
	}
	alice, err := a.Identify(t.Context(), "alice", "secret")
	if err != nil {
		t.Fatal(err)
	}
	hers, _, err := a.Issue(alice, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	other := open(t, Config{Clock: c.now})
	theirs, _, err := other.Issue(Principal{Name: "root", Role: Admin, Via: ViaHtpasswd}, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	here, _, err := a.Issue(Principal{Name: Local, Role: Admin, Via: ViaLoopback}, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(jwt, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, text := range map[string]string{
		"another server's": theirs, "of the person at the machine": here, "unsigned": parts[0] + "." + parts[1] + ".", "alg none": none + "." + parts[1] + ".",
		"another's body": parts[0] + "." + strings.Split(hers, ".")[1] + "." + parts[2], "changed": jwt[:len(jwt)-4] + "AAAA",
	} {
		if p, err := a.Authenticate(request("Bearer " + text)); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	if err := a.RevokeToken(t.Context(), "root", p.Token); err != nil {
		t.Fatal(err)
	}
	_, err = a.Authenticate(request("Bearer " + jwt))
	wantKind(t, err, fault.Denied)
	if got, err := a.Authenticate(request("Bearer " + hers)); err != nil || got != alice {
		t.Errorf("%+v %v", got, err)
	}
	c.add(time.Hour)
	_, err = a.Authenticate(request("Bearer " + hers))
	wantKind(t, err, fault.Denied)

	// When the password is set again, even to the same password, the tokens that were issued before
	// end.
	if hers, _, err = a.Issue(alice, time.Hour, nil); err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, lines(t, "alice", "secret"))
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	_, err = a.Authenticate(request("Bearer " + hers))
	wantKind(t, err, fault.Denied)
}

func FuzzReadAuthorization(f *testing.F) {
	for _, h := range []string{"Basic " + basic("a", "b"), "Bearer x", "bearer  x.y.z", "Basic", "Basic =", "Bearer a b", "\x00", "Basic " + basic("", "")} {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, h string) {
		p, err := readAuthorization(h)
		if err != nil {
			if p != (authorization{}) {
				t.Errorf("%q: an error, but also the result %+v", h, p)
			}
			return
		}
		if strings.Contains(p.user, ":") || !p.basic && (p.user != "" || p.secret == "" || strings.ContainsAny(p.secret, " \r\n\t")) {
			t.Errorf("%q: %+v", h, p)
		}
		if p.basic {
			if again, err := readAuthorization("Basic " + basic(p.user, p.secret)); err != nil || again != p {
				t.Errorf("%q: %+v, again %+v %v", h, p, again, err)
			}
		}
	})
}

func FuzzReadToken(f *testing.F) {
	_, text := mint()
	f.Add(text.Reveal())
	f.Add("dray_aaaaaaaaaa_" + strings.Repeat("a", 59))
	f.Add("dray_")
	f.Fuzz(func(t *testing.T, s string) {
		id, _, ok := readToken(s)
		if !ok {
			return
		}
		// An accepted token is canonical: mint could have made the same bytes.
		body := s[:tokenLength-sumLength]
		if s != strings.ToLower(s) || len(s) != tokenLength || s != body+sumOf(body) || !strings.HasPrefix(s, tokenPrefix+id+"_") {
			t.Errorf("%q is taken, as %q", s, id)
		}
	})
}

func TestEveryMintedTokenReads(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id, text := mint()
		got, _, ok := readToken(text.Reveal())
		if !ok || got != id || seen[text.Reveal()] || len(text.Reveal()) != tokenLength {
			t.Fatal(id, got, ok)
		}
		seen[text.Reveal()] = true
	}
}
