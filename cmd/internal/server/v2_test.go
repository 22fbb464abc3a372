package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/crypto/bcrypt"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server"
)

// users writes an htpasswd file and returns its path. The password of a user is "pw-canary-7f3a91-" and the name.
func users(tb testing.TB, names ...string) string {
	tb.Helper()
	var lines strings.Builder
	for _, n := range names {
		hash, err := bcrypt.GenerateFromPassword([]byte("pw-canary-7f3a91-"+n), bcrypt.MinCost)
		if err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s:%s\n", n, hash)
	}
	path := filepath.Join(tb.TempDir(), "htpasswd")
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// as sends a request as user; "" means without credentials.
func (r *running) as(user, method, path string, body io.Reader, headers ...string) *http.Response {
	r.t.Helper()
	url := path
	if strings.HasPrefix(path, "/") {
		url = r.base + path
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, "pw-canary-7f3a91-"+user)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	resp, err := r.client().Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(raw)))
	return resp
}

func (r *running) client() *http.Client {
	if r.http != nil {
		return r.http
	}
	return http.DefaultClient
}

// pushBlob pushes a blob and returns the status of its last request; so does pushManifest.
func (r *running) pushBlob(user, repo, content string) int {
	r.t.Helper()
	resp := r.as(user, "POST", "/v2/"+repo+"/blobs/uploads/", nil)
	if resp.StatusCode != 202 {
		return resp.StatusCode
	}
	at := resp.Header.Get("Location")
	return r.as(user, "PUT", at+"&digest="+digest.FromString(content).String(), strings.NewReader(content)).StatusCode
}

func manifestOf(mark string) string {
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Layers: []v1.Descriptor{}, Annotations: map[string]string{"mark": mark}}
	m.SchemaVersion = 2
	m.Config = v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: digest.FromString("{}"), Size: 2}
	raw, _ := json.Marshal(m)
	return string(raw)
}

func (r *running) pushManifest(user, repo, reference, mark string) int {
	r.t.Helper()
	return r.as(user, "PUT", "/v2/"+repo+"/manifests/"+reference, strings.NewReader(manifestOf(mark)), "Content-Type: "+v1.MediaTypeImageManifest).StatusCode
}

// guarded returns a server with one user for each set of rights. It has two repositories with the tag
// "v1" each.
func guarded(t *testing.T, rules ...access.Rule) *running {
	t.Helper()
	const host = "dray.example"
	r := run(t, server.Config{Data: t.TempDir(), PublicURL: "https://" + host, Plain: server.AllowPlain,
		Htpasswd: users(t, "admin", "reader", "maker", "changer", "remover", "stranger"),
		Roles:    map[string]access.Role{"admin": access.Admin, "maker": access.Submitter, "changer": access.Submitter, "remover": access.Submitter, "stranger": access.Submitter},
		Rules: append([]access.Rule{
			{Principals: []string{"reader"}, Verbs: []string{"pull"}, Sources: []string{host + "/team/**"}},
			{Principals: []string{"maker"}, Verbs: []string{"push"}, Targets: []string{host + "/team/**"}, Rights: []string{"create"}},
			{Principals: []string{"changer"}, Verbs: []string{"push"}, Sources: []string{host + "/team/app"}, Targets: []string{host + "/team/**"}, Rights: []string{"overwrite", "mount"}},
			{Principals: []string{"remover"}, Verbs: []string{"delete"}, Targets: []string{host + "/team/**"}, Rights: []string{"delete"}},
		}, rules...)})
	for _, repo := range []string{"team/app", "other/app"} {
		if got := r.pushBlob("admin", repo, "{}"); got != 201 {
			t.Fatal(got)
		}
		if got := r.pushManifest("admin", repo, "v1", "first"); got != 201 {
			t.Fatal(got)
		}
	}
	return r
}

func TestWhoMayDoWhatAtTheRegistry(t *testing.T) {
	r := guarded(t)
	for _, what := range []struct {
		name string
		do   func(user string) int
		may  string // the users that get a 2xx; all other users get 403, a request without credentials 401
	}{
		{"say hello", func(u string) int { return r.as(u, "GET", "/v2/", nil).StatusCode }, "admin reader maker changer remover stranger"},
		{"pull a manifest", func(u string) int { return r.as(u, "GET", "/v2/team/app/manifests/v1", nil).StatusCode }, "admin reader maker changer"},
		{"look at a blob", func(u string) int {
			return r.as(u, "HEAD", "/v2/team/app/blobs/"+digest.FromString("{}").String(), nil).StatusCode
		}, "admin reader maker changer"},
		{"list tags", func(u string) int { return r.as(u, "GET", "/v2/team/app/tags/list", nil).StatusCode }, "admin reader maker changer"},
		{"list referrers", func(u string) int {
			return r.as(u, "GET", "/v2/team/app/referrers/"+digest.FromString("x").String(), nil).StatusCode
		}, "admin reader maker changer"},
		{"pull elsewhere", func(u string) int { return r.as(u, "GET", "/v2/other/app/manifests/v1", nil).StatusCode }, "admin"},
		{"list everything", func(u string) int { return r.as(u, "GET", "/v2/_catalog", nil).StatusCode }, "admin reader maker changer remover stranger"},
		{"push a blob", func(u string) int { return r.pushBlob(u, "team/app", "blob of "+u) }, "admin maker changer"},
		{"push a blob elsewhere", func(u string) int { return r.pushBlob(u, "other/app", "blob of "+u) }, "admin"},
		{"push by digest", func(u string) int {
			return r.pushManifest(u, "team/app", digest.FromString(manifestOf("of "+u)).String(), "of "+u)
		}, "admin maker changer"},
		{"make a tag", func(u string) int { return r.pushManifest(u, "team/app", "new-"+u, "first") }, "admin maker"},
		{"set a tag to what it is", func(u string) int { return r.pushManifest(u, "team/app", "v1", "first") }, "admin maker changer"},
		{"move a tag", func(u string) int {
			got := r.pushManifest(u, "team/app", "v1", "of "+u)
			r.pushManifest("admin", "team/app", "v1", "first")
			return got
		}, "admin changer"},
		{"delete a tag", func(u string) int {
			r.pushManifest("admin", "team/app", "doomed", "first")
			return r.as(u, "DELETE", "/v2/team/app/manifests/doomed", nil).StatusCode
		}, "admin remover"},
		{"delete elsewhere", func(u string) int { return r.as(u, "DELETE", "/v2/other/app/manifests/v1", nil).StatusCode }, "admin"},
	} {
		for _, user := range []string{"", "reader", "maker", "changer", "remover", "stranger", "admin"} {
			got := what.do(user)
			want := strings.Contains(" "+what.may+" ", " "+user+" ") && user != ""
			switch {
			case want && got/100 != 2, !want && user == "" && got != 401, !want && user != "" && got != 403:
				t.Errorf("%q may %s: %d", user, what.name, got)
			}
		}
	}
	refused, _ := io.ReadAll(r.as("maker", "DELETE", "/v2/team/app/manifests/v1", nil).Body)
	if !strings.Contains(string(refused), "no rule grants {principals: [maker], verbs: [") ||
		!strings.Contains(string(refused), "rights: [delete]}; ask an admin to add this rule") {
		t.Errorf("the refusal does not name the missing rule: %s", refused)
	}
	wrong, _ := http.NewRequest("GET", r.base+"/v2/", nil)
	wrong.SetBasicAuth("admin", "guess")
	resp, err := http.DefaultClient.Do(wrong)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 401 || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), `Bearer realm="https://dray.example/`) {
		t.Error(resp.Status, resp.Header)
	}
}

func TestACatalogShowsWhatOneMayPull(t *testing.T) {
	r := guarded(t)
	list := func(user, query string) string {
		t.Helper()
		raw, _ := io.ReadAll(r.as(user, "GET", "/v2/_catalog"+query, nil).Body)
		return strings.TrimSpace(string(raw))
	}
	for user, want := range map[string]string{"admin": `["other/app","team/app"]`, "reader": `["team/app"]`, "stranger": `[]`} {
		if got := list(user, ""); got != `{"repositories":`+want+`}` {
			t.Errorf("%s: %s", user, got)
		}
	}
	for _, repo := range []string{"team/app-b", "team/app/b"} {
		r.pushBlob("admin", repo, "{}")
		r.pushManifest("admin", repo, "v1", "first")
	}
	for last, want := range map[string]string{"": "team/app", "team/app": "team/app-b", "team/app-b": "team/app/b"} {
		if got := list("reader", "?n=1&last="+last); got != `{"repositories":["`+want+`"]}` {
			t.Errorf("after %q: %s", last, got)
		}
	}
	if got := list("reader", "?last=team/app/b"); got != `{"repositories":[]}` {
		t.Error(got)
	}
}

// Without the right to mount, the server answers a mount by starting an upload. The answer does not
// reveal whether the other repository holds the blob.
func TestAMountThatIsNotGrantedIsAnUpload(t *testing.T) {
	r := guarded(t)
	r.pushBlob("admin", "team/app", "shared")
	r.pushBlob("admin", "other/app", "hidden")
	mount := func(user, content, from string) int {
		t.Helper()
		return r.as(user, "POST", fmt.Sprintf("/v2/team/new/blobs/uploads/?mount=%s&from=%s", digest.FromString(content), from), nil).StatusCode
	}
	for _, c := range []struct {
		user, content, from string
		want                int
	}{
		{"changer", "shared", "team/app", 201},
		{"changer", "hidden", "other/app", 202},
		{"maker", "shared", "team/app", 202},
		{"admin", "hidden", "other/app", 201},
	} {
		if got := mount(c.user, c.content, c.from); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestPathsThatAreNoneOfTheAPIsAreNotPassedOn(t *testing.T) {
	r := guarded(t)
	for _, path := range []string{"/v2/team/app/secrets/v1", "/v2/team/app/tags/all", "/v2/team%2F..%2Fother/app/manifests/v1", "/v2/TEAM/app/manifests/v1", "/v2/team/app/manifests/"} {
		if got := r.as("admin", "GET", path, nil).StatusCode; got != 404 {
			t.Errorf("%s: %d", path, got)
		}
	}
}

func TestWhatIsPushedAndDeletedIsInTheAuditLog(t *testing.T) {
	data := t.TempDir()
	r := run(t, server.Config{Data: data, Htpasswd: users(t, "admin"), Roles: map[string]access.Role{"admin": access.Admin}, PublicURL: "https://dray.example"})
	r.pushBlob("admin", "app", "{}")
	r.pushManifest("admin", "app", "v1", "one")
	r.pushManifest("admin", "app", "v1", "two")
	r.as("admin", "DELETE", "/v2/app/manifests/v1", nil)
	if got := r.as("admin", "PUT", "/v2/app/manifests/v2", strings.NewReader("{}")).StatusCode; got != 400 {
		t.Errorf("put of a body that is not a manifest: %d", got)
	}
	r.stop()
	r.wait()
	one, two := digest.FromString(manifestOf("one")), digest.FromString(manifestOf("two"))
	var got []string
	for _, e := range auditOf(t, data) {
		got = append(got, fmt.Sprintf("%s %s %s %s>%s", e.Principal, e.Verb, e.Target, e.Old, e.New))
	}
	want := []string{
		fmt.Sprintf("admin push dray.example/app:v1 >%s", one),
		fmt.Sprintf("admin push dray.example/app:v1 %s>%s", one, two),
		fmt.Sprintf("admin delete dray.example/app:v1 %s>", two),
		fmt.Sprintf("admin push dray.example/app:v2 >%s", digest.FromString("{}")),
		fmt.Sprintf("admin push (not confirmed) dray.example/app:v2 >%s", digest.FromString("{}")),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A tool without a login gets an anonymous token, a tool with a login gets a token of its user.
func TestARuleForAnonymousLetsPullWithoutALoginAndPushWithOne(t *testing.T) {
	r := guarded(t, access.Rule{Principals: []string{access.Anonymous}, Verbs: []string{"pull"}, Sources: []string{"dray.example/team/**"}})
	resp := r.as("", "GET", "/v2/", nil)
	if got := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || got != `Bearer realm="https://dray.example/v2/token",service="dray"` {
		t.Fatal(resp.Status, got)
	}
	token := func(user string) string {
		t.Helper()
		var answer struct{ Token string }
		if err := json.NewDecoder(r.as(user, "GET", "/v2/token?service=dray&scope=repository:team/app:pull", nil).Body).Decode(&answer); err != nil || answer.Token == "" {
			t.Fatal(err)
		}
		return "Authorization: Bearer " + answer.Token
	}
	if got := r.as("", "GET", "/v2/token", nil, "Authorization: Basic d3Jvbmc6d3Jvbmc=").StatusCode; got != 401 {
		t.Error(got)
	}
	nobody, admin := token(""), token("admin")
	for _, c := range []struct {
		method, path, as string
		want             int
	}{
		{"GET", "/v2/", nobody, 200},
		{"GET", "/v2/team/app/manifests/v1", nobody, 200},
		{"GET", "/v2/team/app/manifests/v1", "", 200},
		{"GET", "/v2/other/app/manifests/v1", nobody, 401},
		{"POST", "/v2/team/app/blobs/uploads/", nobody, 401},
		{"POST", "/v2/team/app/blobs/uploads/", admin, 202},
		{"GET", "/v2/other/app/manifests/v1", admin, 200},
	} {
		var headers []string
		if c.as != "" {
			headers = append(headers, c.as)
		}
		if got := r.as("", c.method, c.path, nil, headers...).StatusCode; got != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got, c.want)
		}
	}
}

// forTools returns a server that listens at its public address, as real tools need it.
func forTools(t *testing.T, rules ...access.Rule) *running {
	t.Helper()
	return run(t, server.Config{Data: t.TempDir(), Htpasswd: users(t, "admin"), Roles: map[string]access.Role{"admin": access.Admin}, Rules: rules})
}

func TestToolsLogInWithPasswordsAndTokens(t *testing.T) {
	for _, rules := range [][]access.Rule{nil, {{Principals: []string{access.Anonymous}, Verbs: []string{"pull"}, Sources: []string{"**"}}}} {
		r := forTools(t, rules...)
		host := strings.TrimPrefix(r.base, "http://")
		img, err := random.Image(2000, 2)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(host + "/team/app:v1")
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, img); err == nil {
			t.Error("an anonymous push succeeded")
		}
		login := remote.WithAuth(&authn.Basic{Username: "admin", Password: "pw-canary-7f3a91-admin"})
		if err := remote.Write(ref, img, login); err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Image(ref); (err == nil) != (rules != nil) {
			t.Errorf("an anonymous pull with %d rules: %v", len(rules), err)
		}
		skopeoCopies(t, host, rules != nil)
	}
}

func skopeoCopies(t *testing.T, host string, anonymous bool) {
	t.Helper()
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Log("skopeo is not installed: apt-get install skopeo")
		return
	}
	skopeo := func(args ...string) error {
		cmd := exec.CommandContext(t.Context(), "skopeo", append([]string{"--insecure-policy"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	creds := "--creds=admin:pw-canary-7f3a91-admin"
	if err := skopeo("inspect", "--tls-verify=false", creds, "docker://"+host+"/team/app:v1"); err != nil {
		t.Error(err)
	}
	if err := skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--src-creds=admin:pw-canary-7f3a91-admin", "--dest-creds=admin:pw-canary-7f3a91-admin",
		"docker://"+host+"/team/app:v1", "docker://"+host+"/team/copy:v1"); err != nil {
		t.Error(err)
	}
	if err := skopeo("inspect", "--tls-verify=false", "--no-creds", "docker://"+host+"/team/copy:v1"); (err == nil) != anonymous {
		t.Errorf("an anonymous pull: %v", err)
	}
}
