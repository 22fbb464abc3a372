package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/testbed"
)

// manager is a server of dray as the resource manager of a registry, and a client that imports through it.
type manager struct {
	t        *testing.T
	served   served
	src, dst *testbed.Registry
	dir      string
	env      map[string]string
}

func newManager(t *testing.T, front func(http.Handler) http.Handler, keys ...string) *manager {
	t.Helper()
	m := &manager{t: t, dir: t.TempDir()}
	m.src = testbed.Distribution(t, testbed.Options{Front: front})
	m.dst = testbed.Distribution(t, testbed.Options{})
	theirs := m.write("server.yaml", "registries:\n  production: {host: '"+m.dst.Host+"', plain-http: true}\n  hub: {host: '"+m.src.Host+"', plain-http: true"+strings.Join(keys, "")+"}\n")
	m.served = startServer(t, filepath.Join(m.dir, "data"), "127.0.0.1:0", "--config", theirs)
	m.env = map[string]string{
		"AZURE_CLIENT_ID": "ci", "AZURE_TENANT_ID": "adfs", "AZURE_CLIENT_SECRET": "who-is-on-this-machine-needs-none", "AZURE_AUTHORITY_HOST": "http://" + m.served.host,
		"DRAY_STATE_DIR": filepath.Join(m.dir, "state"),
		"DRAY_CONFIG": m.write("client.yaml", "registries:\n  src: {host: '"+m.src.Host+"', plain-http: true}\n  dst: {host: '"+m.dst.Host+"', plain-http: true, "+
			"azure: {resource-manager: 'http://"+m.served.host+"'}}\n"),
	}
	return m
}

func (m *manager) write(name, text string) string {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// run runs a command in this process.
func (m *manager) run(args ...string) (code int, stdout, stderr string) {
	m.t.Helper()
	var out, err bytes.Buffer
	code = program(m.t.Context(), args, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Home: m.dir, Env: func(name string) string { return m.env[name] }})
	return code, out.String(), err.String()
}

// jobs returns how many jobs the server has.
func (m *manager) jobs() int {
	m.t.Helper()
	code, out, stderr := m.run("jobs", "list", "--server", "http://"+m.served.host, "-o", "json")
	if code != 0 {
		m.t.Fatal(stderr)
	}
	return strings.Count(out, `"kind":"import"`) + strings.Count(out, `"kind": "import"`)
}

func TestAServerOfDrayBringsTheBlobsAsAzureDoes(t *testing.T) {
	m := newManager(t, nil)
	testbed.Index(t, m.src, "app", "v1", 2)
	testbed.Random(t, m.src, "app", "v2", testbed.RandomOptions{Seed: 7})
	m.src.Reset()
	m.dst.Reset()
	code, out, stderr := m.run("import", "--name", "dst", "--source", "src/app:v1", "-t", "app:v1", "-t", "app:latest", "--via", "azure", "-o", "json")
	var rep struct {
		Steps []struct {
			State, Via string
			Blobs      struct{ Sent, Brought int }
		}
	}
	if err := json.Unmarshal([]byte(out), &rep); err != nil || code != 0 || len(rep.Steps) != 2 || rep.Steps[0].State != "done" ||
		rep.Steps[0].Via != "azure" || rep.Steps[0].Blobs.Brought == 0 || rep.Steps[0].Blobs.Sent != 0 {
		t.Fatalf("code %d, %v: %s %s", code, err, out, stderr)
	}
	testbed.Same(t, m.src, m.dst, "app", "v1", "app", "v1")
	testbed.Same(t, m.src, m.dst, "app", "v1", "app", "latest")
	if m.jobs() != 1 {
		t.Error("the server did not import it once")
	}

	// A transfer, with auto; a second run asks for nothing.
	for range 2 {
		if code, out, stderr := m.run("transfer", "src", "dst/mirror/", "--via", "auto"); code != 0 {
			t.Fatal(out, stderr)
		}
	}
	if n := m.jobs(); n != 3 {
		t.Errorf("the server has %d imports", n)
	}
	testbed.Same(t, m.src, m.dst, "app", "v2", "mirror/app", "v2")

	// What the server refuses fails, or dray copies it: the source is no registry that the server may reach.
	layout := "oci:" + filepath.Join(m.dir, "layout")
	if code, _, stderr := m.run("copy", "src/app:v2", layout); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := m.run("copy", layout+":v2", "dst/new:v2", "--via", "azure"); code != 8 || !strings.Contains(stderr, "not from this machine") {
		t.Errorf("code %d: %s", code, stderr)
	}
	if code, _, stderr := m.run("copy", layout+":v2", "dst/new:v2", "--via", "auto"); code != 0 || !strings.Contains(stderr, "not from this machine") {
		t.Errorf("code %d: %s", code, stderr)
	}
	if code, _, stderr := m.run("copy", "src/app:v2", "src/b:v2", "--via", "azure"); code != 8 || !strings.Contains(stderr, "not a registry of Azure") {
		t.Errorf("code %d: %s", code, stderr)
	}
}

// The configuration, a mirror rule and a request to a server say it, too.
func TestEachDoorSaysWhoBringsTheBlobs(t *testing.T) {
	m := newManager(t, nil)
	testbed.Random(t, m.src, "app", "v1", testbed.RandomOptions{Seed: 7})
	const cannot = "not a registry of Azure"
	if code, _, stderr := m.run("copy", m.src.Host+"/app:v1", m.dst.Host+"/b:v1", "--via", "azure", "--server", "http://"+m.served.host); code != 8 || !strings.Contains(stderr, cannot) {
		t.Errorf("server: code %d: %s", code, stderr)
	}
	rules := m.write("rules.yaml", "rules:\n  - name: team\n    sources: [src/app]\n    target: src/mirror\n    via: azure\n")
	if code, out, stderr := m.run("mirror", "-f", rules); code == 0 || !strings.Contains(out+stderr, cannot) {
		t.Errorf("mirror: code %d: %s %s", code, out, stderr)
	}
	if code, _, stderr := m.run("copy", "src/app:v1", "dst/app:v1", "--via", "az"); code != 2 || !strings.Contains(stderr, "not dray, azure or auto") {
		t.Errorf("code %d: %s", code, stderr)
	}
	before := m.jobs()
	m.env["DRAY_CONFIG"] = m.write("via.yaml", "registries:\n  dst: {host: '"+m.dst.Host+"', plain-http: true, azure: {via: azure, resource-manager: 'http://"+m.served.host+"'}}\n")
	for _, via := range []string{"dray", ""} {
		args := []string{"copy", m.src.Host + "/app:v1", "dst/app" + via + ":v1"}
		if via != "" {
			args = append(args, "--via", via)
		}
		if code, _, stderr := m.run(args...); code != 0 {
			t.Fatal(stderr)
		}
	}
	if n := m.jobs() - before; n != 1 {
		t.Errorf("%d imports; the configuration asks for one, and the flag precedes it", n)
	}
}

// closed lets read only who has the login.
func closed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		if read := r.Method == http.MethodGet || r.Method == http.MethodHead; read && password != "hunter2hunter2" {
			w.Header().Set("WWW-Authenticate", `Basic realm="closed"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func TestWhatOnlyTheOtherSideSeesIsImportedIfThatIsAccepted(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("hunter2hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newManager(t, closed, ", credentials: {username: robot, password-file: '"+secret+"'}")
	img := testbed.Random(t, m.src, "app", "v1", testbed.RandomOptions{Seed: 7})
	list := m.write("images.txt", "src/app:v1 batch:v1\n")
	rules := m.write("rules.yaml", "rules:\n  - name: team\n    images: [src/app:v1]\n    target: dst/mirror/\n    via: azure\n")
	for to, args := range map[string][]string{
		"import":     {"import", "--name", "dst", "--source", "src/app:v1", "-t", "import:v1", "--via", "azure"},
		"copy":       {"copy", "src/app:v1", "dst/copy:v1", "--via", "azure"},
		"batch":      {"batch", "--name", "dst", "-f", list, "--via", "azure"},
		"mirror/app": {"mirror", "-f", rules},
	} {
		if code, out, stderr := m.run(args...); code != 8 || !strings.Contains(out+stderr, "--accept-unseen") {
			t.Errorf("%s: code %d: %s %s", to, code, out, stderr)
		}
		if code, out, stderr := m.run(append(args, "--accept-unseen")...); code != 0 {
			t.Errorf("%s: code %d: %s %s", to, code, out, stderr)
		} else if got := testbed.CraneDigest(t, m.dst, to, "v1"); got != img.Digest() {
			t.Errorf("%s: %s, want %s", to, got, img.Digest())
		}
	}
}

func TestAnImportOfAClientThatWasKilledIsAwaitedByTheNextOne(t *testing.T) {
	asked, goOn := make(chan struct{}, 1), make(chan struct{})
	m := newManager(t, slow(asked, goOn))
	testbed.Random(t, m.src, "app", "v1", testbed.RandomOptions{Seed: 7})
	args := []string{"import", "--name", "dst", "--source", "src/app:v1", "--via", "azure", "--debug"}
	first := exec.Command(executable(t), args...)
	first.Env = append(os.Environ(), "HOME="+m.dir)
	for name, value := range m.env {
		first.Env = append(first.Env, name+"="+value)
	}
	stderr, err := first.StderrPipe()
	if err == nil {
		err = first.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	polled := false
	for lines := bufio.NewScanner(stderr); !polled && lines.Scan(); { // the first poll comes after the operation is remembered
		polled = strings.Contains(lines.Text(), "operationResults")
	}
	_ = first.Process.Kill()
	_ = first.Wait()
	close(goOn)
	if code, out, stderr := m.run(args...); !polled || code != 0 || m.jobs() != 1 {
		t.Errorf("polled %t, code %d, %d imports: %s %s", polled, code, m.jobs(), out, stderr)
	}
	testbed.Same(t, m.src, m.dst, "app", "v1", "app", "v1")
}
