package testbed_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

// get sends a request over the network and returns the response and its body.
func get(t *testing.T, r *testbed.Registry, method, target, authorization string) (*http.Response, string) {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = r.URL + target
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	req.Header.Set("Accept", "*/*, application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json")
	resp, err := r.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestImagesAreServedAndEveryRequestIsRecorded(t *testing.T) {
	for name, r := range map[string]*testbed.Registry{
		"distribution on memory": testbed.Distribution(t, testbed.Options{}),
		"distribution on disk":   testbed.Distribution(t, testbed.Options{Dir: t.TempDir()}),
		"sloppy":                 testbed.Sloppy(t, testbed.Options{}),
	} {
		t.Run(name, func(t *testing.T) {
			img := testbed.Index(t, r, "team/app", "v1", 3)
			if img.Manifests != 4 || img.Blobs != 7 || len(img.Children) != 3 {
				t.Fatalf("%d manifests, %d blobs, %d children", img.Manifests, img.Blobs, len(img.Children))
			}
			if n := r.Requests(); n != 0 {
				t.Fatalf("storing an image left %d requests in the log:\n%s", n, r.Story())
			}
			resp, body := get(t, r, "GET", "/v2/team/app/manifests/v1", "")
			if resp.StatusCode != 200 || int64(len(body)) != img.Root.Size {
				t.Fatalf("%s, %d bytes", resp.Status, len(body))
			}
			get(t, r, "GET", "/v2/team/app/blobs/"+img.Layers[0].Digest.String(), "")
			if r.Count("GET", testbed.Manifest) != 1 || r.Count("", testbed.Blob) != 1 || r.Requests() != 2 {
				t.Fatalf("counted wrong:\n%s", r.Story())
			}
			q := r.Log()[0]
			if q.Status != 200 || q.Repo != "team/app" || q.Ref != "v1" || q.Out != img.Root.Size {
				t.Errorf("recorded %+v", q)
			}
			r.Reset()
			if r.Requests() != 0 {
				t.Error("Reset left requests")
			}
		})
	}
}

func TestEverySchemeAndProtocolIsSpoken(t *testing.T) {
	for _, c := range []struct {
		o     testbed.Options
		proto string
	}{
		{testbed.Options{}, "HTTP/1.1"},
		{testbed.Options{Scheme: testbed.HTTPS}, "HTTP/1.1"},
		{testbed.Options{Protocol: testbed.HTTP2}, "HTTP/2.0"},
		{testbed.Options{Scheme: testbed.HTTPS, Protocol: testbed.HTTP2}, "HTTP/2.0"},
	} {
		r := testbed.Sloppy(t, c.o)
		resp, _ := get(t, r, "GET", "/v2/", "")
		if resp.Proto != c.proto || r.Log()[0].Proto != c.proto {
			t.Errorf("%+v: %s, want %s", c.o, resp.Proto, c.proto)
		}
	}
}

func TestStrictDistributionRefusesSparseIndexesAndOpenTakesThem(t *testing.T) {
	sparse := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":` +
		`"application/vnd.oci.image.manifest.v1+json","size":3,"digest":"sha256:` + strings.Repeat("a", 64) +
		`","platform":{"os":"linux","architecture":"amd64"}}]}`
	for content, want := range map[testbed.Content]int{testbed.Strict: 400, testbed.Open: 201} {
		r := testbed.Distribution(t, testbed.Options{Content: content})
		resp := r.Direct(t, "PUT", "/v2/a/manifests/v1",
			http.Header{"Content-Type": {"application/vnd.oci.image.index.v1+json"}}, strings.NewReader(sparse), nil)
		if resp.StatusCode != want {
			t.Errorf("%q: %s, want %d", content, resp.Status, want)
		}
	}
}

func TestBasicLetsOnlyKnownUsersIn(t *testing.T) {
	r := testbed.Sloppy(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Basic}})
	if resp, _ := get(t, r, "GET", "/v2/", ""); resp.StatusCode != 401 || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("no credentials: %s", resp.Status)
	}
	for pair, want := range map[string]int{"user:" + testbed.Password: 200, "user:wrong": 401} {
		resp, _ := get(t, r, "GET", "/v2/", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
		if resp.StatusCode != want {
			t.Errorf("%s: %s", pair, resp.Status)
		}
	}
}

// token requests a token for scope from the issuer and returns "Bearer …".
func token(t *testing.T, r *testbed.Registry, scope string) string {
	t.Helper()
	u, _ := url.Parse(r.Issuer.URL)
	u.RawQuery = url.Values{"service": {"testbed"}, "scope": {scope}}.Encode()
	resp, body := get(t, r, "GET", u.String(), "Basic dXNlcjpzZWNyZXQtY2FuYXJ5LTdmM2E5MQ==")
	var m struct{ Token string }
	if err := json.Unmarshal([]byte(body), &m); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	return "Bearer " + m.Token
}

func TestBearerChecksScopeExpiryAndMountSource(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, TTL: time.Hour}})
	img := testbed.Random(t, r, "a/b", "v1", testbed.RandomOptions{})
	resp, _ := get(t, r, "GET", "/v2/a/b/manifests/v1", "")
	c := resp.Header.Get("WWW-Authenticate")
	if resp.StatusCode != 401 || c != `Bearer realm="`+r.URL+`/token",service="testbed",scope="repository:a/b:pull"` {
		t.Fatalf("%s %s", resp.Status, c)
	}
	pull := token(t, r, "repository:a/b:pull")
	if resp, _ = get(t, r, "GET", "/v2/a/b/manifests/v1", pull); resp.StatusCode != 200 {
		t.Errorf("with pull: %s", resp.Status)
	}
	resp, _ = get(t, r, "POST", "/v2/a/b/blobs/uploads/", pull)
	if c = resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || !strings.Contains(c, "insufficient_scope") {
		t.Errorf("pull used to push: %s %s", resp.Status, c)
	}
	mount := "/v2/c/blobs/uploads/?from=a%2Fb&mount=" + img.Layers[0].Digest.String()
	if resp, _ = get(t, r, "POST", mount, token(t, r, "repository:c:pull,push")); resp.StatusCode != 401 {
		t.Errorf("mount without pull on its source: %s", resp.Status)
	}
	both := token(t, r, "repository:c:pull,push repository:a/b:pull")
	if resp, _ = get(t, r, "POST", mount, both); resp.StatusCode != 201 {
		t.Errorf("mount with both scopes: %s", resp.Status)
	}
	if n := r.Issuer.Issued(); n != 3 {
		t.Errorf("%d tokens issued", n)
	}
	r.Issuer.Revoke()
	resp, _ = get(t, r, "GET", "/v2/", both)
	if c = resp.Header.Get("WWW-Authenticate"); !strings.Contains(c, "invalid_token") {
		t.Errorf("revoked token: %s %s", resp.Status, c)
	}
}

func TestChallengesOfGiteaAndGcr(t *testing.T) {
	gitea := testbed.Sloppy(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, Challenge: testbed.TwoChallenges}})
	resp, _ := get(t, gitea, "GET", "/v2/a/tags/list", "")
	if all := resp.Header.Values("WWW-Authenticate"); len(all) != 2 || !strings.Contains(all[0], `scope="*"`) {
		t.Errorf("gitea: %q", all)
	}
	gcr := testbed.Sloppy(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, Challenge: testbed.OnlyOnPing}})
	if resp, _ = get(t, gcr, "GET", "/v2/a/tags/list", ""); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("gcr: %s %q", resp.Status, resp.Header)
	}
	if resp, _ = get(t, gcr, "GET", "/v2/", ""); !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("gcr ping: %q", resp.Header)
	}
}

func TestAnonymousTokensPullOnlyAndTheIssuerMayListenElsewhere(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{
		Mode: testbed.Bearer, Realm: testbed.OtherListener, Anonymous: testbed.Pull,
	}})
	testbed.Random(t, r, "a", "v1", testbed.RandomOptions{})
	_, body := get(t, r, "GET", r.Issuer.URL+"?scope=repository:a:pull,push", "")
	var m struct{ Token string }
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(err)
	}
	if resp, _ := get(t, r, "GET", "/v2/a/manifests/v1", "Bearer "+m.Token); resp.StatusCode != 200 {
		t.Errorf("pull: %s", resp.Status)
	}
	if resp, _ := get(t, r, "POST", "/v2/a/blobs/uploads/", "Bearer "+m.Token); resp.StatusCode != 401 {
		t.Errorf("push: %s", resp.Status)
	}
	if r.Count("", testbed.Token) != 0 || r.Issuer.Server.Count("GET", testbed.Token) != 1 {
		t.Errorf("token request went to the registry:\n%s", r.Story())
	}
}

// form sends a form to the token service and returns the status and the answer.
func form(t *testing.T, r *testbed.Registry, path string, values url.Values) (int, map[string]any) {
	t.Helper()
	resp, err := r.Client.PostForm(r.URL+path, values)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, m
}

func TestTokensAreGivenForPasswordsAndRefreshTokens(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{
		Mode: testbed.Bearer,
		May:  func(user, repo, action string) bool { return user == "user" && repo == "a" && action == "pull" },
	}})
	testbed.Random(t, r, "a", "v1", testbed.RandomOptions{})
	status, first := form(t, r, "/token", url.Values{
		"grant_type": {"password"}, "username": {"user"}, "password": {testbed.Password},
		"scope": {"repository:a:pull,push"}, "access_type": {"offline"},
	})
	if status != 200 || first["expires_in"] != 300.0 || first["refresh_token"] == nil {
		t.Fatalf("password: %d %v", status, first)
	}
	status, second := form(t, r, "/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {first["refresh_token"].(string)}, "scope": {"repository:a:pull,push"},
	})
	if status != 200 {
		t.Fatalf("refresh: %d %v", status, second)
	}
	bearer := "Bearer " + second["access_token"].(string)
	if resp, _ := get(t, r, "GET", "/v2/a/manifests/v1", bearer); resp.StatusCode != 200 {
		t.Errorf("pull: %s", resp.Status)
	}
	if resp, _ := get(t, r, "POST", "/v2/a/blobs/uploads/", bearer); resp.StatusCode != 401 {
		t.Errorf("push, which May forbids: %s", resp.Status)
	}
	for name, bad := range map[string]url.Values{
		"wrong password":        {"grant_type": {"password"}, "username": {"user"}, "password": {"wrong"}},
		"unknown refresh token": {"grant_type": {"refresh_token"}, "refresh_token": {"made-up"}},
		"no grant":              {},
	} {
		if status, _ := form(t, r, "/token", bad); status != 401 {
			t.Errorf("%s: %d", name, status)
		}
	}
}

func TestACRExchangesAnEntraTokenAndNamesNoExpiry(t *testing.T) {
	r := testbed.Sloppy(t, testbed.Options{Auth: testbed.Auth{
		Mode: testbed.Bearer, Dialect: testbed.ACR, Entra: map[string]string{"entra-1": "user"},
	}})
	_, first := form(t, r, "/oauth2/exchange", url.Values{
		"grant_type": {"access_token"}, "service": {"testbed"}, "access_token": {"entra-1"},
	})
	status, second := form(t, r, "/oauth2/token", url.Values{
		"grant_type": {"refresh_token"}, "service": {"testbed"},
		"scope": {"repository:a:pull", "registry:catalog:*"}, "refresh_token": {first["refresh_token"].(string)},
	})
	if status != 200 || second["expires_in"] != nil {
		t.Fatalf("%d %v", status, second)
	}
	if resp, _ := get(t, r, "GET", "/v2/_catalog", "Bearer "+second["access_token"].(string)); resp.StatusCode != 200 {
		t.Errorf("catalog: %s", resp.Status)
	}
	if status, _ = form(t, r, "/oauth2/exchange", url.Values{
		"grant_type": {"access_token"}, "service": {"testbed"}, "access_token": {"stolen"},
	}); status != 401 {
		t.Errorf("unknown Entra token: %d", status)
	}
}

func TestPathsAreReadAsEndpoints(t *testing.T) {
	for path, want := range map[string]testbed.Endpoint{
		"/v2/":                         {Kind: testbed.Ping},
		"/v2/_catalog":                 {Kind: testbed.Catalog},
		"/v2/a/b/manifests/v1":         {Kind: testbed.Manifest, Repo: "a/b", Ref: "v1"},
		"/v2/a/blobs/sha256:x":         {Kind: testbed.Blob, Repo: "a", Ref: "sha256:x"},
		"/v2/a/blobs/uploads/":         {Kind: testbed.Upload, Repo: "a"},
		"/v2/a/blobs/uploads/s-1":      {Kind: testbed.Upload, Repo: "a", Ref: "s-1"},
		"/v2/blobs/a/tags/list":        {Kind: testbed.Tags, Repo: "blobs/a"},
		"/v2/a/referrers/sha256:x":     {Kind: testbed.Referrer, Repo: "a", Ref: "sha256:x"},
		"/oauth2/token":                {Kind: testbed.Token},
		"/healthz":                     {Kind: testbed.Other},
		"/v2/a/manifests/manifests/v1": {Kind: testbed.Manifest, Repo: "a/manifests", Ref: "v1"},
	} {
		if got := testbed.Parse(path); got != want {
			t.Errorf("%s: %+v", path, got)
		}
	}
}
