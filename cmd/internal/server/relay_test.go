package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/ref"
)

// relayed is a server that has the names shelf.dray.test and store.dray.test for two registries, which know a login that
// only the server has. Blobs of shelf are at another host, where a redirect with a signature leads.
type relayed struct {
	*azure
	shelf, store *testbed.Registry
	proxy        string // the address of a proxy that leads all hosts to the server
	via          *http.Client
}

func newRelayed(t *testing.T, rules ...access.Rule) *relayed {
	t.Helper()
	return newRelayedTo(t, testbed.Auth{Mode: testbed.Bearer}, rules...)
}

func newRelayedTo(t *testing.T, auth testbed.Auth, rules ...access.Rule) *relayed {
	t.Helper()
	v := &relayed{shelf: testbed.Distribution(t, testbed.Options{Auth: auth}), store: testbed.Distribution(t, testbed.Options{Auth: auth})}
	registries := map[string]dray.Registry{"shelf": {Host: v.shelf.Host, Settings: dray.Settings{PlainHTTP: true}}, "store": {Host: v.store.Host, Settings: dray.Settings{PlainHTTP: true}}}
	logins := credential.Chain{func(context.Context, ref.Repo) (credential.Login, bool, error) {
		l, err := credential.FromPassword("user", testbed.Password)
		return l, err == nil, err
	}}
	rules = append(rules, access.Rule{Principals: []string{"sdk"}, Verbs: []string{"pull"}, Sources: []string{v.shelf.Host + "/team/**", v.store.Host + "/team/**"}},
		access.Rule{Principals: []string{"sdk", "other"}, Verbs: []string{"push", "delete"}, Targets: []string{v.store.Host + "/team/**"}, Rights: access.Rights},
		access.Rule{Principals: []string{"sdk"}, Verbs: []string{"import"}, Sources: []string{v.shelf.Host + "/team/**"}, Targets: []string{v.store.Host + "/team/**"}, Rights: access.Rights})
	v.azure = newAzureWith(t, server.Config{Domain: "dray.test", Dray: dray.Config{Registries: registries, Logins: logins}}, rules...)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := strings.TrimPrefix(v.base, "https://")
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tunnel(w, r, to) })}
	go func() { _ = proxy.Serve(listener) }() // ends with the listener
	t.Cleanup(func() { _ = proxy.Close() })
	v.proxy = "http://" + listener.Addr().String()
	at, err := url.Parse(v.proxy)
	if err != nil {
		t.Fatal(err)
	}
	transport := v.http.Transport.(*http.Transport).Clone()
	transport.Proxy = http.ProxyURL(at)
	v.via = &http.Client{Transport: transport}
	return v
}

// tunnel answers CONNECT with a connection to the address to.
func tunnel(w http.ResponseWriter, r *http.Request, to string) {
	there, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	if _, err := io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	go func() { _, _ = io.Copy(there, here); there.Close() }()
	_, _ = io.Copy(here, there)
}

// send sends a request to a name of the server with the token of sdk, or without one if token is "".
func (v *relayed) send(t *testing.T, token, method, at, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, at, from)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := v.via.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range resp.Header {
		if text := strings.Join(values, " "); strings.Contains(text, v.shelf.Host) || strings.Contains(text, v.store.Host) {
			t.Errorf("%s %s: the header %s names the registry: %s", method, at, name, text)
		}
	}
	return resp, string(raw)
}

func TestAConfiguredRegistryHasANameOfTheServer(t *testing.T) {
	t.Parallel()
	v := newRelayed(t)
	if resp, _ := v.send(t, v.token, "GET", v.base+"/v2/team/app/tags/list", ""); resp.StatusCode != http.StatusForbidden {
		t.Error("a rule for a configured registry holds for the server's own:", resp.Status)
	}
	image := testbed.Random(t, v.shelf, "team/app", "v1", testbed.RandomOptions{})
	testbed.Random(t, v.shelf, "secret/app", "v1", testbed.RandomOptions{Seed: 7})
	const shelf, store = "https://shelf.dray.test", "https://store.dray.test"

	resp, _ := v.send(t, "", "GET", shelf+"/v2/", "")
	if got := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || got != `Bearer realm="`+shelf+`/oauth2/token",service="shelf.dray.test"` {
		t.Error(resp.Status, got)
	}
	for at, want := range map[string]string{
		shelf + "/v2/_catalog":                                          `{"repositories":["team/app"]}`,
		shelf + "/acr/v1/_catalog":                                      `{"repositories":["team/app"]}`,
		shelf + "/v2/team/app/tags/list":                                `{"name":"team/app","tags":["v1"]}`,
		shelf + "/acr/v1/team/app/_tags":                                image.Digest(),
		shelf + "/acr/v1/team/app/_manifests":                           image.Digest(),
		shelf + "/acr/v1/team%2Fapp/_tags/v1":                           image.Digest(),
		shelf + "/acr/v1/team/app":                                      `"tagCount":1`,
		v.base + "/registries/shelf/v2/team/app/tags/list":              `"v1"`,
		v.base + "/registries/shelf/acr/v1/team/app/_tags?n=1":          image.Digest(),
		shelf + "/v2/team/app/referrers/" + image.Digest():              `"manifests"`,
		"https://SHELF.dray.test:443/v2/team/app/manifests/v1":          `"layers"`,
		"https://shelf.dray.test./v2/team/app/manifests/v1":             `"layers"`,
		shelf + "/v2/team/app/manifests/" + image.Digest():              `"layers"`,
		v.base + "/registries/shelf/v2/team/app/manifests/v1?a=b":       `"layers"`,
		shelf + "/v2/team/app/blobs/" + image.Layers[0].Digest.String(): "",
		v.base + "/registries/nobody/v2/":                               "NAME_UNKNOWN",
		"https://nobody.dray.test/v2/":                                  "NAME_UNKNOWN",
		shelf + "/subscriptions?api-version=2023-07-01":                 "UNSUPPORTED",
		shelf + "/v2/secret/app/manifests/v1":                           "DENIED",
		shelf + "/acr/v1/secret/app/_tags":                              "DENIED",
		shelf + "/v2/team/app/manifests/v9":                             "MANIFEST_UNKNOWN",
		shelf + "/v2/team/app/blobs/sha256:" + strings.Repeat("a", 64):  "BLOB_UNKNOWN",
	} {
		if _, said := v.send(t, v.token, "GET", at, ""); !strings.Contains(said, want) {
			t.Errorf("%s: %s, want %s", at, said, want)
		}
	}
	resp, _ = v.send(t, v.token, "HEAD", shelf+"/v2/team/app/manifests/v1", "")
	if resp.StatusCode != 200 || resp.Header.Get("Docker-Content-Digest") != image.Digest() || resp.ContentLength <= 0 {
		t.Error(resp.Status, resp.Header)
	}
	if _, said := v.send(t, v.token, "DELETE", shelf+"/v2/team/app/manifests/v1", ""); !strings.Contains(said, "DENIED") {
		t.Error(said)
	}
	if _, said := v.send(t, v.token, "PUT", shelf+"/v2/team/app/manifests/v1", "{}"); !strings.Contains(said, "DENIED") {
		t.Error(said)
	}
	v.pushes(t, store)
	v.secrets(t)
}

// pushes sends a blob in chunks, a manifest and a second tag, and deletes them, as docker and Azure's SDKs do.
func (v *relayed) pushes(t *testing.T, store string) {
	t.Helper()
	content := strings.Repeat("dray", 5000)
	resp, said := v.send(t, v.token, "POST", store+"/v2/team/app/blobs/uploads/", "")
	if resp.StatusCode != 202 {
		t.Fatal(resp.Status, said)
	}
	first := resp.Header.Get("Location")
	if resp, said = v.send(t, v.newToken(t, "other"), "PATCH", store+first, content); resp.StatusCode == 202 {
		t.Error("another principal uses an address that is not its own:", said)
	}
	if sealed, err := base64.RawURLEncoding.DecodeString(first[strings.LastIndex(first, "/")+1:]); err != nil || bytes.Contains(sealed, []byte("team/app")) {
		t.Error("the address of the registry can be read:", first, err)
	}
	if resp, said = v.send(t, v.token, "PATCH", store+first, content, "Content-Type", "application/octet-stream"); resp.StatusCode != 202 {
		t.Fatal(resp.Status, said)
	}
	sum := digest.FromString(content).String()
	if resp, said = v.send(t, v.token, "PUT", store+resp.Header.Get("Location")+"?digest="+sum, ""); resp.StatusCode != 201 || resp.Header.Get("Location") != "/v2/team/app/blobs/"+sum {
		t.Fatal(resp.Status, said, resp.Header)
	}
	if _, said = v.send(t, v.token, "GET", store+"/v2/team/app/blobs/"+sum, ""); said != content {
		t.Errorf("%d bytes", len(said))
	}
	if resp, said = v.send(t, v.token, "GET", store+"/v2/team/app/blobs/"+sum, "", "Range", "bytes=4-7"); resp.StatusCode != 206 || said != "dray" {
		t.Error(resp.Status, said)
	}
	manifest := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
	for _, tag := range []string{"one", "two"} {
		if resp, said = v.send(t, v.token, "PUT", store+"/v2/team/app/manifests/"+tag, manifest, "Content-Type", "application/vnd.oci.image.index.v1+json"); resp.StatusCode != 201 {
			t.Fatal(resp.Status, said)
		}
	}
	if resp, said = v.send(t, v.token, "DELETE", store+"/acr/v1/team/app/_manifests/"+digest.FromString(manifest).String(), ""); resp.StatusCode != 202 {
		t.Error(resp.Status, said)
	}
	for _, tag := range []string{"one", "two"} {
		if resp, _ := v.send(t, v.token, "HEAD", store+"/v2/team/app/manifests/"+tag, ""); resp.StatusCode != 404 {
			t.Error(tag, resp.Status)
		}
	}
	if resp, said = v.send(t, v.token, "PATCH", store+"/acr/v1/team/app", `{"writeEnabled":false}`); resp.StatusCode != 405 || !strings.Contains(said, "only Azure's registries") {
		t.Error(resp.Status, said)
	}
	if resp, said = v.send(t, v.token, "DELETE", store+"/acr/v1/team/app", ""); resp.StatusCode != 405 && resp.StatusCode != 404 {
		t.Error(resp.Status, said)
	}
}

// A registry may read the query of a mount also at the address of an upload that has begun.
func TestABlobIsMountedOnlyFromARepositoryThatTheRulesGrant(t *testing.T) {
	t.Parallel()
	mounts := access.Rule{Principals: []string{"sdk"}, Verbs: []string{"push"}, Sources: []string{"**/team/other"}, Targets: []string{"**/team/app"}, Rights: []string{access.Mount}}
	v := newRelayedTo(t, testbed.Auth{Mode: testbed.Basic}, mounts)
	const store = "https://store.dray.test"
	for i, repo := range []string{"team/other", "secret/app"} {
		of := testbed.Random(t, v.store, repo, "v1", testbed.RandomOptions{Seed: uint64(i + 1)}).Layers[0].Digest.String()
		resp, _ := v.send(t, v.token, "POST", store+"/v2/team/app/blobs/uploads/", "")
		begun := resp.Header.Get("Location")
		mount := "?mount=" + of + "&from=" + repo
		resp, said := v.send(t, v.token, "POST", store+begun+mount, "")
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Error(repo, resp.Status, said)
		}
		resp, said = v.send(t, v.token, "POST", store+"/v2/team/app/blobs/uploads/"+mount, "")
		if repo == "team/other" {
			if resp.StatusCode != http.StatusCreated || resp.Header.Get("Location") != "/v2/team/app/blobs/"+of {
				t.Error(resp.Status, resp.Header, said)
			}
		} else if resp, _ := v.send(t, v.token, "HEAD", store+"/v2/team/app/blobs/"+of, ""); resp.StatusCode != http.StatusNotFound {
			t.Error("a blob of a repository that the rules do not grant was mounted:", resp.Status)
		}
	}
}

func TestOneOfManyPutsCreatesATagOfAConfiguredRegistry(t *testing.T) {
	t.Parallel()
	v := newRelayedTo(t, testbed.Auth{Mode: testbed.Basic}, access.Rule{Principals: []string{"maker"}, Verbs: []string{"push"}, Targets: []string{"**/team/app"}, Rights: []string{access.Create}})
	token := v.newToken(t, "maker")
	var created atomic.Int32
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"n":"%d"}}`, i)
			resp, said := v.send(t, token, "PUT", "https://store.dray.test/v2/team/app/manifests/v1", manifest, "Content-Type", "application/vnd.oci.image.index.v1+json")
			switch resp.StatusCode {
			case http.StatusCreated:
				created.Add(1)
			case http.StatusForbidden:
			default:
				t.Error(resp.Status, said)
			}
		})
	}
	if all.Wait(); created.Load() != 1 {
		t.Errorf("%d puts of a principal that may not replace a tag were accepted", created.Load())
	}
}

func (v *relayed) newToken(t *testing.T, principal string) string {
	t.Helper()
	return v.running.token(principal, access.Submitter).Reveal()
}

// secrets checks that no registry has seen the login of a client, and that changes are in the audit log.
func (v *relayed) secrets(t *testing.T) {
	t.Helper()
	for _, r := range []*testbed.Registry{v.shelf, v.store} {
		for _, l := range r.Log() {
			if text := l.Header.Get("Authorization"); strings.Contains(text, v.token) {
				t.Error("a registry got the token of a client:", l.Path)
			}
		}
	}
	v.stop()
	v.wait()
	var got []string
	for _, e := range auditOf(t, v.data) {
		got = append(got, e.Principal+" "+e.Verb+" "+strings.TrimPrefix(e.Target, v.store.Host+"/"))
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{"sdk push team/app:one", "sdk push team/app:two", "sdk delete team/app@sha256:"} {
		if !strings.Contains(all, want) {
			t.Errorf("the audit log lacks %q:\n%s", want, all)
		}
	}
}

// The commands are those of the public script acr_transfer.py: it lists the repositories and tags of one registry and
// imports them into another. Neither of these two is Azure's.
func TestAMigrationScriptForAzureRunsFromAnyToAnyRegistry(t *testing.T) {
	t.Parallel()
	azureTool(t, "python")
	v := newRelayed(t)
	for i, tag := range []string{"v1", "v2"} {
		testbed.Random(t, v.shelf, "team/app", tag, testbed.RandomOptions{Seed: uint64(i)})
	}
	v.env = []string{"HTTPS_PROXY=" + v.proxy, "NO_PROXY="}
	fields := func(lines ...string) (all [][]string) {
		for _, line := range lines {
			all = append(all, strings.Fields(line))
		}
		return all
	}
	commands := fields("cloud register -n dray --endpoint-resource-manager https://dray.test --suffix-acr-login-server-endpoint .dray.test", "cloud set -n dray",
		"login --service-principal -u sdk -p "+v.token+" --tenant adfs",
		"acr show -n shelf --query loginServer -o tsv",
		"acr repository list -n shelf -o tsv",
		"acr repository show-tags -n shelf --repository team/app -o tsv",
		"acr repository show-tags -n shelf --repository team/app --orderby time_asc",
		"acr repository show-tags -n store --repository team/app -o tsv",
		"acr import -n store --source shelf.dray.test/team/app:v1 --image team/app:v1",
		"acr import -n store --source shelf.dray.test/team/app:v2 --image team/app:v2 --force",
		"acr repository show-tags -n store --repository team/app -o tsv",
		"acr manifest list-metadata -r store -n team/app --query [].tags[] -o tsv",
		"acr manifest show store.dray.test/team/app:v1 --query schemaVersion -o tsv",
		"acr repository delete -n store --image team/app:v1 --yes",
		"acr repository delete -n shelf --image team/app:v1 --yes",
		"acr repository show-tags -n store --repository team/app -o tsv")
	wants := []string{"", "", "", "shelf.dray.test", "team/app", "v1 v2", "!does not tell when its tags were set", "!NAME_UNKNOWN", "", "", "v1 v2", "v", "2", "", "!no rule grants", "v2"}
	for i, s := range v.az(t, t.TempDir(), commands...) {
		want, refused := strings.CutPrefix(wants[i], "!")
		got := strings.Join(strings.Fields(s.out), " ")
		if refused {
			got = s.err
		}
		if (s.code != 0) != refused || !refused && i > 2 && want != "" && !strings.Contains(got, want) {
			t.Errorf("az %s: %d %s\n%s\nwant %s", strings.Join(commands[i], " "), s.code, s.out, s.err, want)
		}
	}
}

// An answer that the registry cuts off must not look complete, also if its length is not known.
func TestAnAnswerThatTheRegistryCutsOffIsCutOffForTheClient(t *testing.T) {
	t.Parallel()
	cut := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			w.WriteHeader(http.StatusOK)
			return
		}
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<16))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}), testbed.Options{})
	a := newAzureWith(t, server.Config{Domain: "dray.test", Dray: dray.Config{Registries: map[string]dray.Registry{"cut": {Host: cut.Host, Settings: dray.Settings{PlainHTTP: true}}}}})
	r, err := http.NewRequestWithContext(t.Context(), "GET", a.base+"/registries/cut/v2/app/blobs/sha256:"+strings.Repeat("a", 64), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("admin", "pw-canary-7f3a91-admin")
	resp, err := a.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if raw, err := io.ReadAll(resp.Body); err == nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %d bytes without an error", resp.Status, len(raw))
	}
}

// The address that a registry redirects to has a signature, and the login of the server is not sent there.
func TestTheServerFollowsTheRedirectOfARegistryItself(t *testing.T) {
	t.Parallel()
	storage := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("sig") != "secret" || r.Header.Get("Authorization") != "" {
			t.Error(r.URL, r.Header)
		}
		_, _ = io.WriteString(w, "content")
	}), testbed.Options{})
	front := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "upstream" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, "http://"+storage.Host+"/there?sig=secret", http.StatusTemporaryRedirect)
		}
	}), testbed.Options{})
	logins := credential.Chain{func(context.Context, ref.Repo) (credential.Login, bool, error) {
		l, err := credential.FromPassword("server", "upstream")
		return l, err == nil, err
	}}
	plain := func(host string) dray.Registry {
		return dray.Registry{Host: host, Settings: dray.Settings{PlainHTTP: true}}
	}
	a := newAzureWith(t, server.Config{Domain: "dray.test", Dray: dray.Config{Logins: logins,
		Registries: map[string]dray.Registry{"front": plain(front.Host), "storage": plain(storage.Host)}}})
	resp := a.as("admin", "GET", "/registries/front/v2/app/blobs/sha256:"+strings.Repeat("a", 64), nil)
	if raw, err := io.ReadAll(resp.Body); err != nil || string(raw) != "content" || resp.StatusCode != http.StatusOK || resp.Header.Get("Location") != "" {
		t.Errorf("%s %v: %s %v", resp.Status, resp.Header, raw, err)
	}
}

// A registry, or a proxy before it, that answers with the request must not tell a client the login of the server.
func TestNoAnswerOfARegistryHasTheLoginOfTheServer(t *testing.T) {
	t.Parallel()
	storage := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "wrong signature: "+r.URL.String(), http.StatusNotFound)
	}), testbed.Options{})
	mirror := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := fmt.Sprint("request: ", r.Header)
		switch _, _, ok := r.BasicAuth(); {
		case !ok:
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasSuffix(r.URL.Path, "/uploads/"):
			w.Header().Set("Location", "/there")
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodTrace:
			_, _ = io.WriteString(w, said)
		case strings.Contains(r.URL.Path, "/blobs/"):
			http.Redirect(w, r, "http://"+storage.Host+"/blob?sig=secret-signature", http.StatusTemporaryRedirect)
		default:
			http.Error(w, said, http.StatusBadRequest)
		}
	}), testbed.Options{})
	logins := credential.Chain{func(context.Context, ref.Repo) (credential.Login, bool, error) {
		l, err := credential.FromPassword("server", testbed.Password)
		return l, err == nil, err
	}}
	a := newAzureWith(t, server.Config{Domain: "dray.test", Dray: dray.Config{Logins: logins,
		Registries: map[string]dray.Registry{"mirror": {Host: mirror.Host, Settings: dray.Settings{PlainHTTP: true}}}}})
	const app = "/registries/mirror/v2/app"
	begun := a.as("admin", "POST", app+"/blobs/uploads/", nil)
	upload := "/registries/mirror" + begun.Header.Get("Location")
	for _, q := range [][2]string{{"TRACE", upload}, {"PUT", upload + "?digest=x"}, {"GET", app + "/manifests/v1"}, {"DELETE", app + "/manifests/v1"},
		{"GET", app + "/blobs/sha256:" + strings.Repeat("a", 64)}, {"GET", app + "/tags/list"}} {
		resp := a.as("admin", q[0], q[1], nil)
		raw, err := io.ReadAll(resp.Body)
		secret := base64.StdEncoding.EncodeToString([]byte("server:" + testbed.Password))
		if said := fmt.Sprint(resp.Header, string(raw)); err != nil || resp.StatusCode < 400 || strings.Contains(said, testbed.Password) || strings.Contains(said, secret) || strings.Contains(said, "secret-signature") {
			t.Errorf("%s %s: %s: %s %v", q[0], q[1], resp.Status, said, err)
		}
	}
}

func TestACheckSaysThatTheCertificateLacksTheNamesOfRegistries(t *testing.T) {
	t.Parallel()
	ca, dir := newAuthority(t), t.TempDir()
	cert, key := ca.pair(dir, "dray", "*.dray.test")
	for domain, want := range map[string]bool{"": true, "dray.test": true, "dray.test:8443": true, "other.test": false} {
		for _, f := range server.Check(t.Context(), server.Config{Listen: "127.0.0.1:0", Data: filepath.Join(dir, "data"), Domain: domain, TLS: server.TLS{Cert: cert, Key: key}}) {
			if f.What == "TLS" && (f.Hint == "") != want { // it is not OK in any case, because it expires soon
				t.Errorf("%s: %+v", domain, f)
			}
		}
	}
}
