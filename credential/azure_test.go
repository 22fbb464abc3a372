package credential

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

const (
	entraHost = "https://login.microsoftonline.com"
	imdsHost  = "http://169.254.169.254"
	aToken    = `{"token_type": "Bearer", "expires_in": 3599, "access_token": "entra"}`
	client    = "0123456789ab-client"
)

// azureVars returns the variables of an identity.
func azureVars(more ...string) map[string]string {
	vars := map[string]string{"AZURE_CLIENT_ID": client, "AZURE_TENANT_ID": "tid"}
	for i := 0; i < len(more); i += 2 {
		vars[more[i]] = more[i+1]
	}
	return vars
}

func grantFor(audience string, more ...string) url.Values {
	v := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "scope": {audience + "/.default"}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

func only(t *testing.T, path string, h http.HandlerFunc) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			t.Errorf("the request is for %s, not for %s", r.URL.Path, path)
		}
		h(w, r)
	}
}

func TestAServicePrincipalShowsItsSecretToEntraAlone(t *testing.T) {
	for host, at := range map[string]string{"r.azurecr.io": entraHost, "r.azurecr.cn": "https://login.chinacloudapi.cn", "r.azurecr.us": "https://login.microsoftonline.us"} {
		s := newSky(t).up()
		s.vars = azureVars("AZURE_CLIENT_SECRET", canary+"+/=")
		s.at[at] = only(t, "/tid/oauth2/v2.0/token", s.demand(grantFor("https://containerregistry.azure.net", "client_secret", canary+"+/="), aToken))
		look := Azure{Cloud: s.cloud()}.Lookup()
		l := s.finds(look, host)
		l.second = nil
		if want := (Login{Scheme: Exchange, Password: New("entra"), From: "azure service principal 01234567…"}); l != want {
			t.Error(l, l.From)
		}
		if other := s.finds(look, "other"+strings.TrimPrefix(host, "r")); other.Password != l.Password || s.count() != 1 {
			t.Error("another token was requested for a registry of the same tenant:", s.asked)
		}
		s.at[at] = parrot(http.StatusUnauthorized)
		text := s.refuses(Azure{Cloud: s.cloud()}.Lookup(), host, fault.Denied)
		if !strings.HasPrefix(text, "ask azure service principal 01234567…: denied: HTTP 401: refused: no: ") {
			t.Error(text)
		}
	}
}

// keyPair returns a key and PEM blocks: another certificate, the certificate for the key, and the key.
func keyPair(t *testing.T) (*rsa.PrivateKey, []byte, []byte) {
	t.Helper()
	pemOf := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	var key *rsa.PrivateKey
	var der []byte
	var text []byte
	for range 2 {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
		if der, err = x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k); err != nil {
			t.Fatal(err)
		}
		key, text = k, append(text, pemOf("CERTIFICATE", der)...)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, append(text, pemOf("PRIVATE KEY", pkcs8)...), der
}

// openJWT verifies a token with the public key and returns its header and claims.
func openJWT(t *testing.T, key *rsa.PublicKey, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	for i, to := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch {
	case err != nil:
	case header["alg"] == "PS256":
		err = rsa.VerifyPSS(key, crypto.SHA256, sum[:], sig, &rsa.PSSOptions{SaltLength: 32})
	case header["alg"] == "RS256":
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig)
	default:
		t.Fatal("alg ", header["alg"])
	}
	if err != nil || header["typ"] != "JWT" {
		t.Fatal(header, err)
	}
	return header, claims
}

func within(t *testing.T, claims map[string]any, name string, from, to time.Duration) {
	t.Helper()
	n, ok := claims[name].(float64)
	if d := time.Until(time.Unix(int64(n), 0)); !ok || d < from-2*time.Second || d > to+2*time.Second {
		t.Errorf("%s is %v, in %s", name, claims[name], d)
	}
}

func TestACertificateSignsTheAssertionThatEntraWants(t *testing.T) {
	s := newSky(t).up()
	key, text, der := keyPair(t)
	s.vars = azureVars("AZURE_CLIENT_CERTIFICATE_PATH", s.write("cert.pem", string(text)))
	var proofs []string
	s.at[entraHost] = only(t, "/tid/oauth2/v2.0/token", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		proof := r.PostForm.Get("client_assertion")
		proofs = append(proofs, proof)
		header, claims := openJWT(t, &key.PublicKey, proof)
		thumbprint := sha256.Sum256(der)
		if header["alg"] != "PS256" || header["x5t#S256"] != base64.RawURLEncoding.EncodeToString(thumbprint[:]) || len(header) != 3 {
			t.Error(header)
		}
		if claims["aud"] != entraHost+"/tid/oauth2/v2.0/token" || claims["iss"] != client || claims["sub"] != client || claims["jti"] == "" || len(claims) != 7 {
			t.Error(claims)
		}
		within(t, claims, "exp", 5*time.Minute, 10*time.Minute)
		within(t, claims, "nbf", 0, 0)
		s.demand(grantFor(registryAudience, "client_assertion", proof, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), aToken)(w, r)
	})
	if l := s.finds(Azure{Cloud: s.cloud()}.Lookup(), "r.azurecr.io"); l.From != "azure service principal 01234567… by certificate" {
		t.Error(l.From)
	}
	s.at[entraHost] = func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		proofs = append(proofs, r.PostForm.Get("client_assertion"))
		parrot(http.StatusBadRequest)(w, r)
	}
	refusal := s.refuses(Azure{Cloud: s.cloud()}.Lookup(), "r.azurecr.io", fault.Denied)
	if strings.Contains(refusal, proofs[1][:40]) || proofs[0] == proofs[1] {
		t.Error("the error shows a proof, or a proof was used twice:", refusal)
	}
}

func TestCertificateFilesThatDoNotServeAreRefusedWithoutTheirText(t *testing.T) {
	_, good, _ := keyPair(t)
	_, other, _ := keyPair(t)
	keyAt := strings.Index(string(good), "-----BEGIN PRIVATE")
	for what, tt := range map[string]struct{ text, want string }{
		"no key":          {string(good[:keyAt]), "no unencrypted RSA private key"},
		"no certificate":  {string(good[keyAt:]), "no certificate"},
		"a stranger's":    {string(other[:strings.Index(string(other), "-----BEGIN PRIVATE")]) + string(good[keyAt:]), "no certificate"},
		"junk in the key": {"-----BEGIN PRIVATE KEY-----\n" + b64(canary) + "\n-----END PRIVATE KEY-----\n", "cannot be read"},
		"encrypted":       {"-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES-128-CBC,00\n\n" + b64(canary) + "\n-----END RSA PRIVATE KEY-----\n", "no unencrypted RSA private key"},
		"PKCS #12":        {"\x30\x82" + canary, "no unencrypted RSA private key"},
	} {
		s := newSky(t)
		s.vars = azureVars("AZURE_CLIENT_CERTIFICATE_PATH", s.write("cert.pem", tt.text))
		if text := s.refuses(Azure{Cloud: s.cloud()}.Lookup(), "r.azurecr.io", fault.Invalid); !strings.Contains(text, tt.want) {
			t.Errorf("%s: %s", what, text)
		}
	}
}

func TestWorkloadIdentityShowsTheFilesTokenOfTheMoment(t *testing.T) {
	s := newSky(t).up()
	s.vars = azureVars("AZURE_FEDERATED_TOKEN_FILE", s.write("token", canary+"-1\n"), "AZURE_AUTHORITY_HOST", "https://login.example/")
	want := func(proof string) http.HandlerFunc {
		return only(t, "/tid/oauth2/v2.0/token", s.demand(grantFor(registryAudience, "client_assertion", proof,
			"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), `{"expires_in": "1", "access_token": "entra"}`))
	}
	look := Azure{Cloud: s.cloud()}.Lookup()
	s.at["https://login.example"] = want(canary + "-1")
	if l := s.finds(look, "r.azurecr.io"); l.From != "azure workload identity client 01234567…" {
		t.Error(l.From)
	}
	s.write("token", canary+"-2")
	s.at["https://login.example"] = want(canary + "-2")
	time.Sleep(800 * time.Millisecond)
	s.finds(look, "r.azurecr.io")
	s.at["https://login.example"] = parrot(http.StatusForbidden)
	s.refuses(Azure{Cloud: s.cloud()}.Lookup(), "r.azurecr.io", fault.Denied)
}

// asksFor answers a GET that has exactly these query fields and this header; other requests fail the test.
func (s *sky) asksFor(path, query, header, value, reply string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != path || r.URL.RawQuery != query || r.Header.Get(header) != value {
			s.t.Errorf("%s %s %s=%q", r.Method, r.URL, header, r.Header.Get(header))
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		io.WriteString(w, reply)
	}
}

func TestManagedIdentityIsAskedInEachOfItsForms(t *testing.T) {
	const resource = "resource=https%3A%2F%2Fcontainerregistry.azure.net"
	on := fmt.Sprintf(`{"access_token": "entra", "expires_on": "%d", "resource": "x", "token_type": "Bearer"}`, unixIn(time.Hour))
	s := newSky(t).up()
	for _, tt := range []struct {
		name, host, from string
		vars             []string
		answer           http.HandlerFunc
	}{
		{"app service", "http://127.0.0.1:41001", "azure managed identity", []string{"IDENTITY_ENDPOINT", "http://127.0.0.1:41001/msi/token/", "IDENTITY_HEADER", canary},
			s.asksFor("/msi/token/", "api-version=2019-08-01&"+resource, "X-IDENTITY-HEADER", canary, on)},
		{"app service, one of many", "http://169.254.129.2:8081", "azure managed identity 01234567…",
			[]string{"IDENTITY_ENDPOINT", "http://169.254.129.2:8081/msi/token", "IDENTITY_HEADER", canary, "AZURE_CLIENT_ID", client},
			s.asksFor("/msi/token", "api-version=2019-08-01&client_id="+client+"&"+resource, "X-IDENTITY-HEADER", canary, on)},
		{"older app service", "http://localhost:1", "azure managed identity 01234567…", []string{"MSI_ENDPOINT", "http://localhost:1/t", "MSI_SECRET", canary, "AZURE_CLIENT_ID", client},
			s.asksFor("/t", "api-version=2017-09-01&clientid="+client+"&"+resource, "secret", canary, on)},
		{"cloud shell", "http://localhost:50342", "azure cloud shell", []string{"MSI_ENDPOINT", "http://localhost:50342/oauth2/token"},
			s.demand(url.Values{"resource": {registryAudience}}, on)},
		{"virtual machine", imdsHost, "azure managed identity", nil,
			s.asksFor("/metadata/identity/oauth2/token", "api-version=2018-02-01&"+resource, "Metadata", "true", strings.Replace(on, "expires_on", "expires_in", 1))},
		{"virtual machine, one of many", imdsHost, "azure managed identity 01234567…", []string{"AZURE_CLIENT_ID", client},
			s.asksFor("/metadata/identity/oauth2/token", "api-version=2018-02-01&client_id="+client+"&"+resource, "Metadata", "true", on)},
	} {
		s.vars = map[string]string{}
		for i := 0; i < len(tt.vars); i += 2 {
			s.vars[tt.vars[i]] = tt.vars[i+1]
		}
		clear(s.at)
		s.at[tt.host] = tt.answer
		if l := s.finds(Azure{Cloud: s.cloud()}.Lookup(), "r.azurecr.io"); l.From != tt.from || l.Scheme != Exchange || l.Password.Reveal() != "entra" {
			t.Errorf("%s: %v %s", tt.name, l, l.From)
		}
		s.at[tt.host] = parrot(http.StatusBadRequest)
		if len(tt.vars) > 0 {
			s.refuses(Azure{Cloud: s.cloud()}.Lookup(), "r.azurecr.io", fault.Denied)
		} else if _, ok, err := (Azure{Cloud: s.cloud()}).Lookup()(t.Context(), ref.Repo{Host: "r.azurecr.io"}); ok || err != nil {
			t.Error("a machine without an identity must not be an error:", ok, err)
		}
	}
}

func TestAnotherCloudsMetadataServiceIsNoAzure(t *testing.T) {
	for _, status := range []int{302, 401, 403, 404, 405} {
		s := newSky(t).up()
		s.at[imdsHost] = parrot(status)
		if _, ok, err := (Azure{Cloud: s.cloud()}).Lookup()(t.Context(), ref.Repo{Host: "r.azurecr.io"}); ok || err != nil {
			t.Error(status, ok, err)
		}
	}
}

func TestTheOlderAudienceIsUsedWhereTheNewerOneIsRefused(t *testing.T) {
	s := newSky(t).up()
	s.vars = azureVars("AZURE_CLIENT_SECRET", canary)
	newer := s.demand(grantFor(registryAudience, "client_secret", canary), aToken)
	older := s.demand(grantFor("https://management.azure.com", "client_secret", canary), strings.Replace(aToken, "entra", "arm", 1))
	s.at[entraHost] = newer
	look := Azure{Cloud: s.cloud(), Hosts: []string{"Reg.Example"}}.Lookup()
	l := s.finds(look, "r.azurecr.io")
	if other := s.finds(look, "other.azurecr.io"); other != l {
		t.Error("two logins of one identity are not equal")
	}
	s.at[entraHost] = older
	for range 2 {
		again, ok, err := l.Fallback(t.Context())
		if want := (Login{Scheme: Exchange, Password: New("arm"), From: l.From}); again != want || !ok || err != nil {
			t.Fatal(again, ok, err)
		}
		if _, ok, err := again.Fallback(t.Context()); ok || err != nil {
			t.Error("the fallback has a fallback:", ok, err)
		}
	}
	if s.count() != 2 {
		t.Error(s.asked)
	}

	// A registry with another name must never get the token of the resource manager.
	s.at[entraHost] = newer
	if l := s.finds(look, "reg.example"); l.Password.Reveal() != "entra" {
		t.Error(l)
	} else if _, ok, err := l.Fallback(t.Context()); ok || err != nil {
		t.Error(ok, err)
	}
	s.at[entraHost] = func(w http.ResponseWriter, r *http.Request) {
		if r.ParseForm(); strings.HasPrefix(r.PostForm.Get("scope"), registryAudience) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error": "invalid_resource", "error_description": "AADSTS500011: The resource principal was not found in the tenant."}`)
			return
		}
		older(w, r)
	}
	fresh := Azure{Cloud: s.cloud(), Hosts: []string{"reg.example"}}.Lookup()
	s.refuses(fresh, "reg.example", fault.Denied)
	fresh = Azure{Cloud: s.cloud()}.Lookup()
	if l := s.finds(fresh, "r.azurecr.io"); l.Password.Reveal() != "arm" {
		t.Error(l)
	}
}

func TestTheZeroAzureKnowsItsHosts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok, err := (Azure{}).Lookup()(ctx, ref.Repo{Host: "docker.io"}); ok || err != nil {
		t.Error(ok, err)
	}
	if _, ok, err := (Login{}).Fallback(ctx); ok || err != nil {
		t.Error(ok, err)
	}
}
