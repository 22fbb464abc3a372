package arm_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/internal/testbed"
)

func (r reply) text(key string) string { s, _ := r.body[key].(string); return s }

func TestATokenOfDrayIsASecretOfAServicePrincipal(t *testing.T) {
	b := start(t, options{workers: "none"})
	for _, path := range []string{"/adfs/oauth2/token", "/adfs/oauth2/v2.0/token", "/dray/oauth2/v2.0/token"} {
		r := b.form(path, "grant_type", "client_credentials", "client_id", "whoever", "client_secret", b.token, "scope", b.srv.URL+"//.default")
		got := r.text("access_token")
		if r.StatusCode != http.StatusOK || r.text("token_type") != "Bearer" || strings.Count(got, ".") != 2 || strings.Contains(got, b.token) {
			t.Fatalf("%s: %d %s", path, r.StatusCode, r.raw)
		}
		if r := b.send(got, "GET", "/subscriptions"+version, nil); r.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.raw)
		}
		claims, err := base64.RawURLEncoding.DecodeString(strings.Split(got, ".")[1])
		if err != nil || !strings.Contains(string(claims), `"tid":`) || strings.Contains(string(claims), b.token[20:]) {
			t.Errorf("%s %v", claims, err)
		}
	}
	for name, r := range map[string]reply{
		"a wrong secret": b.form("/adfs/oauth2/token", "grant_type", "client_credentials", "client_id", "ci", "client_secret", "dray_wrong"),
		"no secret":      b.form("/adfs/oauth2/token", "grant_type", "client_credentials", "client_id", "ci"),
		"in the address": b.form("/adfs/oauth2/token?client_secret="+b.token, "grant_type", "client_credentials", "client_id", "ci"),
	} {
		if r.StatusCode != http.StatusUnauthorized || r.text("error") != "invalid_client" {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.raw)
		}
	}
	if r := b.form("/adfs/oauth2/token", "grant_type", "authorization_code", "code", "x"); r.StatusCode != 400 || r.text("error") != "unsupported_grant_type" {
		t.Error(r.StatusCode, r.raw)
	}
}

func TestTheGoSDKLogsInAsAServicePrincipal(t *testing.T) {
	b := start(t, options{workers: "none"})
	cred, err := azidentity.NewClientSecretCredential("dray", "ci", b.token, &azidentity.ClientSecretCredentialOptions{
		DisableInstanceDiscovery: true,
		ClientOptions:            azcore.ClientOptions{Transport: b.srv.Client(), Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: b.srv.URL + "/"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{b.srv.URL + "/.default"}})
	if err != nil || got.ExpiresOn.Before(time.Now().Add(50*time.Minute)) {
		t.Fatal(got.ExpiresOn, err)
	}
	if _, err := b.sdk(got.Token).Get(t.Context(), "any", "production", nil); err != nil {
		t.Error(err)
	}
}

func TestTokensAreTradedAsAzuresRegistriesTradeThem(t *testing.T) {
	b := start(t, options{workers: "none"})
	cloudToken := b.form("/adfs/oauth2/token", "grant_type", "client_credentials", "client_id", "ci", "client_secret", b.token).text("access_token")
	refresh := b.form("/oauth2/exchange", "grant_type", "access_token", "service", b.host, "tenant", "x", "access_token", cloudToken).text("refresh_token")
	if refresh == "" {
		t.Fatal("no refresh token")
	}
	byRefresh := b.form("/oauth2/token", "grant_type", "refresh_token", "service", b.host, "scope", "registry:catalog:*", "refresh_token", refresh).text("access_token")
	byPassword := b.form("/oauth2/token", "grant_type", "password", "service", b.host, "username", "ci", "password", b.token).text("access_token")
	byDocker := b.send("", "GET", "/oauth2/token?service="+b.host+"&scope=repository:team/app:pull", nil,
		"Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("00000000-0000-0000-0000-000000000000:"+refresh))).text("token")
	for name, got := range map[string]string{"refresh": byRefresh, "password": byPassword, "docker": byDocker, "itself": refresh} {
		if r := b.send(got, "GET", "/acr/v1/_catalog", nil); got == "" || r.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.raw)
		}
	}
	for name, r := range map[string]reply{
		"exchange of nothing":  b.form("/oauth2/exchange", "grant_type", "access_token", "service", b.host),
		"exchange of nonsense": b.form("/oauth2/exchange", "grant_type", "access_token", "service", b.host, "access_token", "a.b.c"),
		"refresh of nonsense":  b.form("/oauth2/token", "grant_type", "refresh_token", "refresh_token", cloudToken[:len(cloudToken)-9]+"AAAAAAAAA"),
		"a wrong password":     b.form("/oauth2/token", "grant_type", "password", "username", "ci", "password", "x"),
		"nobody":               b.form("/oauth2/token", "grant_type", "password"),
		"docker's nobody":      b.send("", "GET", "/oauth2/token", nil),
	} {
		if r.StatusCode != http.StatusUnauthorized || strings.Contains(r.raw, "_token\"") {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.raw)
		}
	}
	list, err := b.access.Tokens(t.Context())
	if err != nil || b.access.RevokeToken(t.Context(), "root", list[0].ID) != nil {
		t.Fatal(err)
	}
	// When the token ends, everything that was exchanged for it ends too.
	for _, got := range []string{byRefresh, refresh, cloudToken} {
		if r := b.send(got, "GET", "/acr/v1/_catalog", nil); r.StatusCode != http.StatusUnauthorized {
			t.Error(r.StatusCode, r.raw)
		}
	}
}

func TestTheEmbeddedRegistryIsListedAsAzuresAre(t *testing.T) {
	b := start(t, options{workers: "none", rules: []access.Rule{{Principals: []string{"all"}, Verbs: []string{"pull"}, Sources: []string{"**"}}}})
	for _, tag := range []string{"v1", "v2", "v3"} {
		testbed.Random(t, b.embedded, "team/app", tag, testbed.RandomOptions{Seed: uint64(len(tag) + int(tag[1]))})
	}
	one := testbed.Random(t, b.embedded, "team/other", "v1", testbed.RandomOptions{})
	testbed.Random(t, b.embedded, "secret/app", "v1", testbed.RandomOptions{})
	all := b.newToken("all", access.Reader)

	if r := b.send(b.token, "GET", "/acr/v1/_catalog?n=1", nil); r.raw != `{"repositories":["team/app"]}` || r.Header.Get("Link") != `</acr/v1/_catalog?last=team%2Fapp&n=1>; rel="next"` {
		t.Error(r.raw, r.Header.Get("Link"))
	}
	if r := b.send(b.token, "GET", "/acr/v1/_catalog?last=team%2Fapp&n=1", nil); r.raw != `{"repositories":["team/other"]}` || r.Header.Get("Link") != "" {
		t.Error(r.raw, r.Header.Get("Link"))
	}
	if r := b.send(all, "GET", "/acr/v1/_catalog", nil); r.raw != `{"repositories":["secret/app","team/app","team/other"]}` {
		t.Error(r.raw)
	}
	r := b.send(b.token, "GET", "/acr/v1/team%2Fapp/_tags?n=2&orderby=none", nil)
	tags, _ := r.body["tags"].([]any)
	if len(tags) != 2 || r.Header.Get("Link") != `</acr/v1/team/app/_tags?last=v2&n=2&orderby=none>; rel="next"` {
		t.Error(r.raw, r.Header.Get("Link"))
	}
	r = b.send(b.token, "GET", "/acr/v1/team/other/_tags/v1", nil)
	if tag, _ := r.body["tag"].(map[string]any); tag["digest"] != one.Digest() || tag["name"] != "v1" {
		t.Error(r.raw)
	}
	r = b.send(b.token, "GET", "/acr/v1/team/other/_manifests", nil)
	if !strings.Contains(r.raw, one.Digest()) || !strings.Contains(r.raw, `"tags":["v1"]`) {
		t.Error(r.raw)
	}
	if r = b.send(b.token, "GET", "/acr/v1/team/app", nil); r.body["tagCount"] != 3.0 {
		t.Error(r.raw)
	}
	for path, want := range map[string]int{
		"/acr/v1/secret/app/_tags": 403, "/acr/v1/secret/app": 403, "/acr/v1/team/none/_tags": 404, "/acr/v1/team/app/_tags/v9": 404, "/acr/v1/team/..%2fx/_tags": 400,
		"/acr/v1/team/app/_tags/a%2f..%2fb": 400, "/acr/v1/TEAM/_tags": 400, "/acr/v1/team/app/_manifests/sha256:aa": 404,
	} {
		if r := b.send(b.token, "GET", path, nil); r.StatusCode != want || !strings.Contains(r.raw, `"errors"`) {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.raw)
		}
	}
	if r := b.send(b.token, "GET", "/acr/v1/team/app/_tags?orderby=size", nil); r.StatusCode != 400 || !strings.Contains(r.raw, "orderby") {
		t.Error(r.StatusCode, r.raw)
	}
	if r := b.send("", "GET", "/acr/v1/_catalog", nil); r.StatusCode != 401 || !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), `Bearer realm="https://`+b.host+`/oauth2/token",service="`) {
		t.Error(r.StatusCode, r.Header.Get("WWW-Authenticate"))
	}
}

// Every route refuses every caller without the right to use it.
func TestNothingIsToldToNobody(t *testing.T) {
	b := start(t, options{workers: "none"})
	routes := []string{
		"GET /subscriptions", "GET " + sub, "GET " + sub + "/resources", "GET " + sub + "/resourceGroups", "GET " + sub + "/resourcegroups/any", "GET " + sub + "/providers",
		"GET " + sub + "/providers/Microsoft.ContainerRegistry", "POST " + sub + "/providers/Microsoft.ContainerRegistry/register", "GET /tenants",
		"GET " + sub + "/providers/Microsoft.ContainerRegistry/registries", "POST " + sub + "/providers/Microsoft.ContainerRegistry/checkNameAvailability",
		"GET " + registry + "production", "POST " + registry + "production/importImage", "POST " + registry + "production/listCredentials",
		"GET " + sub + "/providers/Microsoft.ContainerRegistry/locations/dray/operationResults/registries-x", "DELETE " + registry + "production", "GET /acr/v1/_catalog", "GET /acr/v1/a/_tags",
	}
	revoked := b.newToken("ci", access.Admin)
	list, err := b.access.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tk := range list {
		if tk.Role == access.Admin {
			if err := b.access.RevokeToken(t.Context(), "root", tk.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		for name, token := range map[string]string{"none": "", "revoked": revoked, "nonsense": "x.y.z", "another's": "dray_aaaaaaaaaa_" + strings.Repeat("a", 59)} {
			r := b.send(token, method, path+version, nil)
			if r.StatusCode != http.StatusUnauthorized || r.Header.Get("WWW-Authenticate") == "" || strings.Contains(r.raw, b.target.Host) {
				t.Errorf("%s with %s: %d %s", route, name, r.StatusCode, r.raw)
			}
		}
		if strings.HasPrefix(path, "/acr") {
			continue
		}
		first, rest, _ := strings.Cut(path[1:], "/")
		if r := b.send(b.token, method, strings.TrimSuffix("/"+first+"/"+strings.ToUpper(rest), "/")+version, "{}"); r.StatusCode == http.StatusUnauthorized || r.StatusCode >= 500 {
			t.Errorf("%s in capitals: %d %s", route, r.StatusCode, r.raw)
		}
	}
	// A reader cannot import.
	if r := b.send(b.newToken("ci", access.Reader), "POST", registry+"production/importImage"+version, b.from("library/app:v1", "a:b")); r.StatusCode != http.StatusForbidden || r.code() != "AuthorizationFailed" {
		t.Error(r.StatusCode, r.raw)
	}
}

func TestTheMetadataOfTheCloudHaveTheFormOfTheVersionThatIsAskedFor(t *testing.T) {
	b := start(t, options{workers: "none"})
	old := b.send("", "GET", "/metadata/endpoints?api-version=2015-01-01", nil)
	if old.text("galleryEndpoint") != b.srv.URL+"/" || old.text("name") != "" {
		t.Error(old.raw)
	}
	now := b.send("", "GET", "/metadata/endpoints?api-version=2022-09-01", nil)
	suffixes, _ := now.body["suffixes"].(map[string]any)
	signIn, _ := now.body["authentication"].(map[string]any)
	if now.text("name") == "" || suffixes["acrLoginServer"] != "azurecr.io" || signIn["loginEndpoint"] != b.srv.URL+"/adfs" || now.text("resourceManager") != b.srv.URL+"/" {
		t.Error(now.raw)
	}
	resp, err := b.srv.Client().Get(b.srv.URL + "/metadata/endpoints?api-version=2019-05-01")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var clouds []map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&clouds); err != nil || len(clouds) != 1 || clouds[0]["suffixes"] == nil {
		t.Error(clouds, err)
	}
	for _, path := range []string{"/adfs", "/adfs/v2.0", "/adfs/adfs", "/adfs/adfs/v2.0"} {
		r := b.send("", "GET", path+"/.well-known/openid-configuration", nil)
		if keys := b.send("", "GET", r.text("jwks_uri"), nil); keys.raw != `{"keys":[]}` || r.text("issuer") != b.srv.URL+"/adfs" {
			t.Error(path, r.raw, keys.raw)
		}
	}
}
