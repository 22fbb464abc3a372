package credential

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// box is a home directory and an environment for one test.
type box struct {
	t     *testing.T
	files Files
	vars  map[string]string
}

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{t: t, vars: map[string]string{}}
	b.files = Files{Env: func(k string) string { return b.vars[k] }, Home: t.TempDir(), HelperTimeout: 5 * time.Second}
	return b
}

func (b *box) write(content string, path ...string) string {
	b.t.Helper()
	p := filepath.Join(append([]string{b.files.Home}, path...)...)
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *box) login(name string) Login {
	b.t.Helper()
	l, err := b.files.Lookups().For(b.t.Context(), repo(b.t, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

func (b *box) fails(name string) error {
	b.t.Helper()
	l, err := b.files.Lookups().For(b.t.Context(), repo(b.t, name))
	if err == nil {
		b.t.Fatalf("%s: %v instead of an error", name, l)
	}
	if strings.Contains(fmt.Sprintf("%+v %s", err, fault.HintOf(err)), canary) {
		b.t.Errorf("the error shows the secret: %v", err)
	}
	return err
}

func repo(t *testing.T, name string) ref.Repo {
	t.Helper()
	n, err := ref.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return n.Repo
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func auth(key, userPass string) string { return fmt.Sprintf(`%q: {"auth": %q}`, key, b64(userPass)) }

func auths(entries ...string) string { return `{"auths": {` + strings.Join(entries, ", ") + `}}` }

func TestDockersConfigIsReadInAllItsShapes(t *testing.T) {
	refresh := jwt(`{"iss":"Azure Container Registry","grant_type":"refresh_token"}`)
	b := newBox(t)
	b.write(auths(
		auth("reg.example:5000", "u:p:q"), auth("https://Old.example/v1/", "old:p"), auth("http://plain.example", "plain:p"),
		auth("padded.example", "u:p\x00\x00"),
		`"legacy.example": {"username": "u", "password": "p"}`,
		`"id.example": {"auth": "`+b64(TokenUser+":")+`", "identitytoken": "idt"}`,
		`"bearer.example": {"registrytoken": "rt"}`,
		`"marker.example": {}`,
		auth("acr.example", TokenUser+":"+refresh),
	), ".docker", "config.json")
	from := "docker config " + filepath.Join("~", ".docker", "config.json")
	for name, want := range map[string]Login{
		"reg.example:5000/a": {User: "u", Password: New("p:q")},
		"old.example/a":      {User: "old", Password: New("p")},
		"plain.example/a":    {User: "plain", Password: New("p")},
		"padded.example/a":   {User: "u", Password: New("p")},
		"legacy.example/a":   {User: "u", Password: New("p")},
		"id.example/a":       {Scheme: Refresh, Password: New("idt")},
		"bearer.example/a":   {Scheme: Bearer, Password: New("rt")},
		"acr.example/a":      {Scheme: Refresh, Password: New(refresh)},
	} {
		want.From = from
		if got := b.login(name); got != want {
			t.Errorf("%s: %v (%s)", name, got, got.From)
		}
	}
	for _, name := range []string{"reg.example/a", "marker.example/a", "reg.example:5001/a", "nginx"} {
		if got := b.login(name); got != (Login{}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestEverySpellingOfDockerHubIsFound(t *testing.T) {
	for _, key := range []string{"https://index.docker.io/v1/", "https://index.docker.io/v1", "index.docker.io/v1/", "docker.io", "index.docker.io",
		"registry-1.docker.io", "https://registry-1.docker.io/v2/", "https://docker.io"} {
		b := newBox(t)
		b.write(auths(auth(key, "u:p")), ".docker", "config.json")
		if got := b.login("nginx"); got.User != "u" {
			t.Errorf("%s: %v", key, got)
		}
	}
	b := newBox(t)
	b.write(auths(auth("docker.io", "second:p"), auth("index.docker.io", "third:p"), auth(hubServer, "first:p")), ".docker", "config.json")
	if got := b.login("nginx"); got.User != "first" {
		t.Error(got)
	}
}

func TestTheLongestPathOfPodmansKeysWins(t *testing.T) {
	b := newBox(t)
	b.write(auths(auth("reg.example", "host:p"), auth("reg.example/team", "team:p"), auth("reg.example/team/app", "app:p"),
		auth("docker.io/library", "lib:p")), ".config", "containers", "auth.json")
	for name, user := range map[string]string{
		"reg.example/x": "host", "reg.example/teammate": "host", "reg.example/team/x": "team", "reg.example/team/app": "app",
		"reg.example/team/app/sub": "app", "nginx": "lib", "docker.io/other/x": "",
	} {
		if got := b.login(name); got.User != user {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestFilesAreAskedInTheDocumentedOrder(t *testing.T) {
	b := newBox(t)
	b.vars["REGISTRY_AUTH_FILE"] = b.write(auths(auth("a.example", "explicit:p")), "explicit.json")
	b.write(auths(auth("a.example", "docker:p"), auth("b.example", "docker:p")), ".docker", "config.json")
	b.files.Run = filepath.Dir(b.write(auths(auth("b.example", "run:p"), auth("c.example", "run:p")), "run", "auth.json"))
	b.write(auths(auth("c.example", "home:p"), auth("d.example", "home:p")), ".config", "containers", "auth.json")
	for name, user := range map[string]string{"a": "explicit", "b": "docker", "c": "run", "d": "home", "e": ""} {
		if got := b.login(name + ".example/x"); got.User != user {
			t.Errorf("%s: %v", name, got)
		}
	}
	b.write(auths(auth("b.example", "moved:p")), "elsewhere", "config.json")
	b.vars["DOCKER_CONFIG"] = filepath.Join(b.files.Home, "elsewhere")
	b.write(auths(auth("c.example", "xdg:p")), "xdg", "containers", "auth.json")
	b.vars["XDG_RUNTIME_DIR"] = filepath.Join(b.files.Home, "xdg")
	for name, user := range map[string]string{"a": "explicit", "b": "moved", "c": "xdg"} {
		if got := b.login(name + ".example/x"); got.User != user {
			t.Errorf("%s: %v", name, got)
		}
	}
	if n := len((Files{}).Lookups()); n != 0 {
		t.Error("the zero Files has lookups:", n)
	}
}

func TestAMalformedFileIsNamedAndNotQuoted(t *testing.T) {
	for content, cause := range map[string]string{
		`{"auths": {"a.example": {"auth": "` + canary: "not a JSON object",
		`[]`:                                "not a JSON object",
		`{"auths": []}`:                     `"auths": not a JSON object`,
		`{"auths": {}, "auths": {}}`:        "a key occurs twice",
		`{"auths": {}} {}`:                  "there is text after the JSON object",
		`{"credsStore": 7}`:                 `"credsStore": not a string`,
		`{"credHelpers": {"a.example": 7}}`: `"credHelpers": not an object of strings`,
		auths(`"a.example": {"auth": "` + canary + `"}`): `login for a.example: "auth" is not the base64 of USER:PASSWORD`,
		auths(auth("a.example", canary)):                 `login for a.example: "auth" is not the base64 of USER:PASSWORD`,
		auths(`"a.example": ["` + canary + `"]`):         `login for a.example: not a JSON object`,
	} {
		b := newBox(t)
		path := b.write(content, ".docker", "config.json")
		err := b.fails("a.example/x")
		if want := "find a login for a.example: read logins " + path + ": invalid: " + cause; err.Error() != want || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s:\ngot  %v\nwant %s", content, err, want)
		}
	}
	b := newBox(t)
	b.write(auths(auth("a.example", "no colon"), auth("b.example", "u:p")), ".docker", "config.json")
	if got := b.login("b.example/x"); got.User != "u" {
		t.Error("the broken entry of another registry has an effect:", got)
	}
	b.write("", ".docker", "config.json")
	if got := b.login("b.example/x"); got != (Login{}) {
		t.Error("an empty file:", got)
	}
}

func FuzzAuthFile(f *testing.F) {
	f.Add([]byte(auths(auth("a.example", "u:p"), `"docker.io/library": {"identitytoken": "x"}`)))
	f.Add([]byte(`{"credsStore": "x", "credHelpers": {"a.example": ""}, "auths": {"https://index.docker.io/v1/": {}}}`))
	f.Add([]byte(`{"auths": null, "HttpHeaders": {"a": 12345678901234567890}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseAuthFile(data)
		if err != nil {
			return
		}
		r := ref.Repo{Host: "a.example", Path: "x/y"}
		before, _, failed := a.login(r)
		a.helperFor(r)
		// The file that is written back must read the same, except for the host that was dropped.
		a.drop("b.example")
		a.all.set("auths", a.auths.text("\t"))
		b, err := parseAuthFile(a.all.text(""))
		if err != nil {
			t.Fatalf("the file that is written back is malformed: %v\n%s", err, a.all.text(""))
		}
		if after, _, err := b.login(r); after != before || (err == nil) != (failed == nil) {
			t.Fatal(before, after, failed, err)
		}
	})
}

func TestDockerAuthConfigHoldsLoginsItself(t *testing.T) {
	b := newBox(t)
	b.write(auths(auth("reg.example", "file:p"), auth("other.example", "file:p")), ".docker", "config.json")
	b.vars["DOCKER_AUTH_CONFIG"] = auths(auth("reg.example", "ci:p"), auth("https://index.docker.io/v1/", "hub:p"))
	dockers := "docker config " + filepath.Join("~", ".docker", "config.json")
	for name, want := range map[string]Login{
		"reg.example/a":   {User: "ci", Password: New("p"), From: "env DOCKER_AUTH_CONFIG"},
		"nginx":           {User: "hub", Password: New("p"), From: "env DOCKER_AUTH_CONFIG"},
		"other.example/a": {User: "file", Password: New("p"), From: dockers},
	} {
		if got := b.login(name); got != want {
			t.Errorf("%s: %v from %s", name, got, got.From)
		}
	}
	b.vars["REGISTRY_AUTH_FILE"] = b.write(auths(auth("reg.example", "given:p")), "auth.json")
	if got := b.login("reg.example/a"); got.User != "given" {
		t.Errorf("%v from %s", got, got.From)
	}
	delete(b.vars, "REGISTRY_AUTH_FILE")
	for _, bad := range []string{
		"/builds/config.json", `{"auths": {"` + canary, auths(`"reg.example": {"auth": "` + canary + `!"}`),
	} {
		b.vars["DOCKER_AUTH_CONFIG"] = bad
		err := b.fails("reg.example/a")
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "env DOCKER_AUTH_CONFIG") || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAByteOrderMarkBeforeLoginsIsPassedOver(t *testing.T) {
	const mark = "\ufeff"
	b := newBox(t)
	b.write(mark+auths(auth("reg.example", "docker:p")), ".docker", "config.json")
	b.write(mark+auths(auth("pod.example", "podman:p")), ".config", "containers", "auth.json")
	b.vars["DOCKER_AUTH_CONFIG"] = mark + auths(auth("ci.example", "ci:p"))
	for name, user := range map[string]string{"reg.example/a": "docker", "pod.example/a": "podman", "ci.example/a": "ci"} {
		if got := b.login(name); got.User != user {
			t.Errorf("%s: %v", name, got)
		}
	}
}
