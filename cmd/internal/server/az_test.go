package server_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/internal/testbed"
)

// written is a log for concurrent writers.
type written struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// This test uses the real az, TLS, a worker, an egress policy and the embedded registry.
func TestTheRealAzImportsIntoTheEmbeddedRegistry(t *testing.T) {
	if _, err := exec.LookPath("az"); err != nil {
		t.Skip("SKIPPED: az is not installed (apt-get install azure-cli)")
	}
	shelf := testbed.Distribution(t, testbed.Options{})
	image := testbed.Random(t, shelf, "library/app", "v1", testbed.RandomOptions{})
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.pair(dir, "dray")
	root := filepath.Join(dir, "ca.pem")
	ca.write(root, "CERTIFICATE", ca.cert.Raw)
	log := &written{}
	r := run(t, server.Config{Data: t.TempDir(), TLS: server.TLS{Cert: cert, Key: key}, Htpasswd: users(t, "ci"), Roles: map[string]access.Role{"ci": access.Submitter},
		Log:  slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Dray: dray.Config{Registries: map[string]dray.Registry{"shelf": {Host: shelf.Host, Settings: dray.Settings{PlainHTTP: true}}}},
		Rules: []access.Rule{
			{Principals: []string{"ci"}, Verbs: []string{"import"}, Sources: []string{shelf.Host + "/library/**"}, Targets: []string{"127.0.0.1:*/team/**"}, Rights: []string{access.Create}},
			{Principals: []string{"ci"}, Verbs: []string{"pull"}, Sources: []string{"127.0.0.1:*/team/**"}},
		}})
	r.base = strings.Replace(r.base, "http:", "https:", 1)
	r.http = ca.client()
	home := t.TempDir()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "AZURE_CONFIG_DIR=" + filepath.Join(home, "azure"), "REQUESTS_CA_BUNDLE=" + root,
		"AZURE_CORE_COLLECT_TELEMETRY=no", "AZURE_CORE_NO_COLOR=yes", "NO_PROXY=*"}
	az := func(args ...string) (string, string, int) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "az", args...)
		var out, said bytes.Buffer
		cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &said
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out.String()), said.String(), cmd.ProcessState.ExitCode()
	}
	ok := func(args ...string) string {
		t.Helper()
		out, said, code := az(args...)
		if code != 0 {
			t.Fatalf("az %s: %d\n%s", strings.Join(args[:2], " "), code, said)
		}
		return out
	}
	ok("cloud", "register", "-n", "dray", "--endpoint-resource-manager", r.base, "--suffix-acr-login-server-endpoint", ".azurecr.io")
	ok("cloud", "set", "-n", "dray")
	ok("login", "--service-principal", "-u", "ci", "-p", "pw-canary-7f3a91-ci", "--tenant", "adfs")
	ok("acr", "import", "-n", "drayregistry", "--registry", "shelf", "--source", "library/app:v1", "-t", "team/app:v1")
	if _, said, code := az("acr", "import", "-n", "drayregistry", "--registry", "shelf", "--source", "library/app:v1", "-t", "other/app:v1"); code != 1 || !strings.Contains(said, "AuthorizationFailed") {
		t.Errorf("%d %s", code, said)
	}
	if got := ok("acr", "repository", "show-tags", "-n", "drayregistry", "--repository", "team/app", "-o", "tsv"); got != "v1" {
		t.Error(got)
	}
	refresh := ok("acr", "login", "-n", "drayregistry", "--expose-token", "--query", "accessToken", "-o", "tsv")

	// docker can log in with the token that az acr login --expose-token prints.
	req, err := http.NewRequest("GET", r.base+"/v2/team/app/manifests/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("00000000-0000-0000-0000-000000000000", refresh)
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	resp, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Docker-Content-Digest") != image.Digest() {
		t.Error(resp.Status, resp.Header.Get("Docker-Content-Digest"))
	}

	text := log.String()
	subscription := ok("account", "show", "--query", "id", "-o", "tsv")
	for what, secret := range map[string]string{"the subscription": subscription, "the password": "pw-canary-7f3a91-ci", "a token": refresh, "a resource ID": "/resourceGroups/"} {
		if secret == "" || strings.Contains(text, secret) {
			t.Errorf("the log says %s", what)
		}
	}
	if !strings.Contains(text, "path=/subscriptions/") {
		t.Error("the log has no line for a request")
	}
}
