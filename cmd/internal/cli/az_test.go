package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
)

// principalSecret is the client secret of the service principal in tests.
const principalSecret = "client-secret-canary-7f3a91"

// entraStub returns entraToken to a request with principalSecret, as Entra's client credentials grant does.
func entraStub(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("client_secret") != principalSecret || r.URL.Path != "/tenant/oauth2/v2.0/token" {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"invalid_client","error_description":"AADSTS7000215: the secret is wrong"}`)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"access_token": entraToken, "expires_in": 3600, "token_type": "Bearer"})
}

// principal sets the variables of a service principal for the rest of the script.
func (s *script) principal(ts *testscript.TestScript, _ []string) {
	stub := httptest.NewServer(http.HandlerFunc(entraStub))
	s.tb.Cleanup(stub.Close)
	for key, value := range principalEnv(stub.URL) {
		ts.Setenv(key, value)
	}
}

func principalEnv(authority string) map[string]string {
	return map[string]string{
		"AZURE_AUTHORITY_HOST": authority, "AZURE_TENANT_ID": "tenant",
		"AZURE_CLIENT_ID": "0f1e2d3c-client", "AZURE_CLIENT_SECRET": principalSecret,
	}
}

// onShelf handles the words "shelf=REPO" and "live=REPO" of the command registry. Both give the registry
// Azure's own lists of one repository: with shelf the rows of the command shelve, with live its content.
func (s *script) onShelf(name, word string, o *testbed.Options) bool {
	how, repo, ok := strings.Cut(word, "=")
	if ok = ok && (how == "shelf" || how == "live"); ok {
		shelf := &beside.Shelf{Repo: repo, Live: how == "live", TB: s.tb}
		s.shelves[name], o.Front = shelf, shelf.ACR
	}
	return ok
}

// lock switches attributes of a tag off, which locks it.
func (s *script) lock(_ *testscript.TestScript, args []string) {
	for _, attribute := range args[2:] {
		s.shelves[args[0]].Lock(args[1], attribute, false)
	}
}

// shelve adds one manifest to the lists of a shelf.
func (s *script) shelve(_ *testscript.TestScript, args []string) {
	shelf := s.shelves[args[0]]
	shelf.Rows = append(shelf.Rows, beside.Row{Digest: args[1], MediaType: "application/vnd.oci.image.manifest.v1+json", OS: "linux", Arch: "amd64", Size: 4321, Tags: args[2:]})
}

func TestACloudIdentityIsKeptAsARefreshTokenAndShownToNobody(t *testing.T) {
	reg := testbed.Distribution(t, testbed.Options{
		Auth: testbed.Auth{Mode: testbed.Bearer, Dialect: testbed.ACR, Entra: map[string]string{entraToken: "user"}}})
	testbed.Random(t, reg, "app", "v1", testbed.RandomOptions{})
	stub := httptest.NewServer(http.HandlerFunc(entraStub))
	t.Cleanup(stub.Close)
	home := t.TempDir()
	config := filepath.Join(home, "config.yaml")
	if err := os.WriteFile(config, []byte("registries: {prod: {host: '"+reg.Host+"', kind: acr, plain-http: true}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := principalEnv(stub.URL)
	env["DRAY_CONFIG"] = config
	run := func(args ...string) (stdout, stderr string) {
		t.Helper()
		var out, err bytes.Buffer
		if code := program(t.Context(), args, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: func(k string) string { return env[k] }, Home: home}); code != 0 {
			t.Fatalf("%v: code %d, stderr %s", args, code, err.String())
		}
		return out.String(), err.String()
	}

	// The token is printed on stdout, and nowhere else.
	token, told := run("login", "--name", "prod", "--expose-token", "--query", "accessToken", "-o", "tsv", "--debug")
	token = strings.TrimSpace(token)
	if strings.Count(token, ".") != 2 || !strings.Contains(told, "whoever has this token") {
		t.Fatalf("stdout %q, stderr %s", token, told)
	}
	secrets := []string{token, entraToken, principalSecret}
	hidden := func(s string) {
		t.Helper()
		for _, secret := range secrets {
			if strings.Contains(s, secret) {
				t.Errorf("a secret shows in %s", s)
			}
		}
	}
	hidden(told)
	if _, err := os.Stat(filepath.Join(home, ".docker", "config.json")); err == nil {
		t.Error("--expose-token stored a login")
	}

	// Every command can use the identity without a stored login.
	out, told := run("digest", "prod/app:v1", "--debug", "-v")
	hidden(out + told)

	out, told = run("login", "--name", "prod", "--debug", "-v")
	hidden(out + told)
	if want := "logged in to " + reg.Host + " by azure service principal 0f1e2d3c…"; !strings.HasPrefix(out, want) {
		t.Errorf("stdout %q", out)
	}
	file, err := os.ReadFile(filepath.Join(home, ".docker", "config.json"))
	if err != nil || !strings.Contains(string(file), `"identitytoken"`) || strings.Contains(string(file), entraToken) {
		t.Errorf("%v: the file holds an Entra token, or no refresh token", err)
	}

	// The stored login alone is enough.
	clear(env)
	env["DRAY_CONFIG"] = config
	out, told = run("digest", "prod/app:v1", "--debug")
	hidden(out + told)
}

func TestListReferrersSeesWhatRefersToAReferrerIfItIsAsked(t *testing.T) {
	reg := testbed.Distribution(t, testbed.Options{})
	image := testbed.Random(t, reg, "app", "v1", testbed.RandomOptions{})
	signature := testbed.Artifact(t, reg, "app", "", image.Root)
	note := testbed.Artifact(t, reg, "app", "", signature.Root)
	list := func(args ...string) string {
		t.Helper()
		args = append([]string{"manifest", "list-referrers", reg.Host + "/app:v1"}, args...)
		var out, err bytes.Buffer
		if code := program(t.Context(), args, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv}); code != 0 {
			t.Fatalf("%v: code %d, stderr %s", args, code, err.String())
		}
		return out.String()
	}
	query := []string{"--query", "manifests[].[digest, artifactType]", "-o", "tsv"}
	first := signature.Digest() + "\t" + testbed.ArtifactType + "\n"
	for _, tt := range []struct {
		args []string
		want string
	}{
		{query, first},
		{append(query, "--artifact-type", testbed.ArtifactType), first},
		{append(query, "--artifact-type", "another/kind"), ""},
		{append(query, "--recursive"), first + note.Digest() + "\t" + testbed.ArtifactType + "\n"},
		{[]string{"-o", "text"}, signature.Digest() + " " + testbed.ArtifactType + "\n"},
	} {
		if got := list(tt.args...); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestATagAndAManifestAreRemovedOnlyAfterAYes(t *testing.T) {
	reg := testbed.Distribution(t, testbed.Options{})
	image := testbed.Random(t, reg, "app", "v1", testbed.RandomOptions{})
	testbed.Random(t, reg, "app", "v2", testbed.RandomOptions{})
	run := func(answer string, args ...string) (code int, out, err bytes.Buffer) {
		code = program(t.Context(), args, app.IO{In: strings.NewReader(answer), Out: &out, Err: &err, Env: noEnv,
			Terminal: app.Terminal{Hide: hide}})
		return code, out, err
	}
	code, out, err := run("n\n", "rm", reg.Host+"/app:v2")
	want := "dray: " + reg.Host + "/app:v2 will be removed; its manifest " + image.Digest() + " stays\nRemove? [y/N] dray: nothing was removed\n"
	if code != 1 || out.String() != "" || err.String() != want {
		t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), err.String())
	}
	if code, out, err = run("y\n", "rm", reg.Host+"/app:v2"); code != 0 || out.String() != reg.Host+"/app:v2@"+image.Digest()+"\n" {
		t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), err.String())
	}

	manifest := []string{"rm", "--manifest", reg.Host + "/app:v1"}
	asked := "dray: " + reg.Host + "/app@" + image.Digest() + " will be removed with 1 tag: v1\nRemove? [y/N] "
	for _, no := range []string{"\n", "n\n", "what\n", "n"} {
		code, out, err := run(no, manifest...)
		if code != 1 || out.String() != "" || err.String() != asked+"dray: nothing was removed\n" {
			t.Errorf("%q: code %d, stdout %q, stderr %q", no, code, out.String(), err.String())
		}
	}
	code, out, err = run("", manifest...)
	if want := asked + "dray: read the answer: invalid: there was no input (hint: use --yes to remove without asking)\n"; code != 2 || err.String() != want {
		t.Errorf("code %d, stderr %q", code, err.String())
	}
	code, out, err = run("y\n", manifest...)
	if code != 0 || out.String() != reg.Host+"/app:v1@"+image.Digest()+"\n"+reg.Host+"/app@"+image.Digest()+"\n" {
		t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), err.String())
	}
}
