package arm_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

// az runs the real az with its own configuration directory.
type az struct {
	b   *bench
	env []string
}

func newAz(b *bench) az {
	b.t.Helper()
	if _, err := exec.LookPath("az"); err != nil {
		b.t.Skip("SKIPPED: az is not installed (apt-get install azure-cli)")
	}
	return azIn(b, "")
}

// azIn is newAz with the az in dir, or the one in PATH if dir is "".
func azIn(b *bench, dir string) az {
	b.t.Helper()
	home := b.t.TempDir()
	return az{b, []string{
		"PATH=" + strings.TrimPrefix(dir+":"+os.Getenv("PATH"), ":"), "HOME=" + home, "AZURE_CONFIG_DIR=" + filepath.Join(home, "azure"), "REQUESTS_CA_BUNDLE=" + b.ca,
		"AZURE_CORE_COLLECT_TELEMETRY=no", "AZURE_CORE_NO_COLOR=yes", "AZURE_CORE_ONLY_SHOW_ERRORS=no", "NO_PROXY=*",
	}}
}

func (a az) run(args ...string) (stdout, stderr string, code int) {
	a.b.t.Helper()
	cmd := exec.CommandContext(a.b.t.Context(), "az", args...)
	var out, said bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = a.env, &out, &said
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		a.b.t.Fatal(err)
	}
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

func (a az) ok(args ...string) (stdout string) {
	a.b.t.Helper()
	out, said, code := a.run(args...)
	if code != 0 {
		a.b.t.Fatalf("az %s: %d\n%s%s", strings.Join(args[:2], " "), code, out, said)
	}
	return out
}

// setUp runs the commands of docs/from-az.md, with the names of this test.
func (a az) setUp() {
	a.b.t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "from-az.md"))
	if err != nil {
		a.b.t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```bash\nexport REQUESTS_CA_BUNDLE=")
	block, _, closed := strings.Cut(rest, "```")
	if !found || !closed || strings.Count(block, "\n") != 5 {
		a.b.t.Fatalf("the documentation has no setup of five lines: %s", block)
	}
	script := strings.NewReplacer("/etc/dray/ca.pem", a.b.ca, "https://dray.example.com", a.b.srv.URL, "docker.io/library/hello-world:latest", a.b.source.Host+"/library/app:v1").
		Replace("export REQUESTS_CA_BUNDLE=" + block)
	cmd := exec.CommandContext(a.b.t.Context(), "bash", "-e")
	cmd.Stdin, cmd.Env = strings.NewReader(script), append(slices.Clone(a.env), "DRAY_TOKEN="+a.b.token)
	if said, err := cmd.CombinedOutput(); err != nil {
		a.b.t.Fatalf("%v\n%s", err, said)
	}
}

// Debian's az is years old, and today's asks for other things when it logs in.
func TestTheLinesOfTheDocumentationPassWithTodaysAz(t *testing.T) {
	bin, err := filepath.Abs(filepath.Join("..", "..", "..", ".tools", "azure", "python", "bin"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Skip("SKIPPED: .tools/azure/python is not installed (make clients)")
	}
	b := start(t, options{hold: 5 * time.Second})
	azIn(b, bin).setUp()
	if b.digest("hello-world:latest") != b.sourceDigest("v1") {
		t.Fatal("the image of the documentation's import is not at the target")
	}
}

func TestTheRealAzImportsLogsInAndLists(t *testing.T) {
	b := start(t, options{hold: 5 * time.Second})
	a := newAz(b)
	one := testbed.Random(t, b.embedded, "team/app", "v1", testbed.RandomOptions{})
	testbed.Random(t, b.embedded, "team/app", "v2", testbed.RandomOptions{Layers: 2})

	a.setUp()
	if b.digest("hello-world:latest") != b.sourceDigest("v1") {
		t.Fatal("the image of the documentation's import is not at the target")
	}

	// The source is one of the configured registries: az finds it in the list and sends its resource ID.
	if out := a.ok("acr", "import", "-n", "production", "--source", b.source.Host+"/library/app:v1", "-t", "team/app:v1", "-t", "team/app:latest"); out != "" {
		t.Errorf("it says %s", out)
	}
	if b.digest("team/app:v1") != b.sourceDigest("v1") || b.digest("team/app:latest") != b.sourceDigest("v1") {
		t.Error("the image is not at the target")
	}
	_, said, code := a.run("acr", "import", "-n", "production", "--source", b.source.Host+"/library/app:v2", "-t", "team/app:v1")
	if code != 1 || !strings.Contains(said, "(Conflict)") || !strings.Contains(said, "already exists") || !strings.Contains(said, "Code: Conflict") {
		t.Errorf("%d %s", code, said)
	}
	a.ok("acr", "import", "-n", "production", "--source", b.source.Host+"/library/app:v2", "-t", "team/app:v1", "--force")
	if b.digest("team/app:v1") != b.sourceDigest("v2") {
		t.Error("--force did not replace the image")
	}
	a.ok("acr", "import", "-n", "production", "--source", "library/app:v1", "--registry", "hubregistry", "--repository", "team/untagged")
	if _, said, code := a.run("acr", "import", "-n", "production", "--source", b.source.Host+"/library/app:nothing"); code != 3 || !strings.Contains(said, "ManifestUnknown") {
		t.Errorf("%d %s", code, said)
	}
	if _, said, code := a.run("acr", "import", "-n", "nobody", "--source", b.source.Host+"/library/app:v1"); code == 0 || !strings.Contains(said, "could not be found") {
		t.Errorf("%d %s", code, said)
	}

	if got := strings.Fields(a.ok("acr", "repository", "list", "-n", "labeu", "-o", "tsv")); strings.Join(got, " ") != "team/app" {
		t.Error(got)
	}
	if got := strings.Fields(a.ok("acr", "repository", "show-tags", "-n", "labeu", "--repository", "team/app", "-o", "tsv")); strings.Join(got, " ") != "v1 v2" {
		t.Error(got)
	}
	if got := strings.TrimSpace(a.ok("acr", "repository", "show", "-n", "labeu", "--image", "team/app:v1", "--query", "digest", "-o", "tsv")); got != one.Digest() {
		t.Error(got)
	}
	got := strings.Fields(a.ok("acr", "repository", "show-manifests", "-n", "labeu", "--repository", "team/app", "--query", "[].tags[]", "-o", "tsv"))
	if slices.Sort(got); strings.Join(got, " ") != "v1 v2" { // they are in the order of their digests
		t.Error(got)
	}
	refresh := strings.TrimSpace(a.ok("acr", "login", "-n", "labeu", "--expose-token", "--query", "accessToken", "-o", "tsv"))
	if got := b.form("/oauth2/token", "grant_type", "refresh_token", "service", b.host, "refresh_token", refresh).text("access_token"); got == "" {
		t.Error("--expose-token did not print a refresh token")
	}
	if got := strings.TrimSpace(a.ok("acr", "list", "--query", "[].name", "-o", "tsv")); got != "production\nhubregistry\nlabeu" {
		t.Errorf("%q", got)
	}
}

func TestTheRealAzDoesNotWaitWhereItIsToldSo(t *testing.T) {
	b := start(t, options{workers: "none"})
	a := newAz(b)
	a.ok("cloud", "register", "-n", "dray", "--endpoint-resource-manager", b.srv.URL, "--suffix-acr-login-server-endpoint", ".azurecr.io")
	a.ok("cloud", "set", "-n", "dray")
	_, said, code := a.run("login", "--service-principal", "-u", "ci", "-p", "dray_wrong", "--tenant", "adfs")
	if code == 0 || !strings.Contains(said, "not a token of dray") {
		t.Errorf("%d %s", code, said)
	}
	a.ok("login", "--service-principal", "-u", "ci", "-p", b.token, "--tenant", "adfs")
	a.ok("acr", "import", "-n", "production", "--source", b.source.Host+"/library/app:v1", "-t", "x:y", "--no-wait")
	b.work()
	for j := range b.queue.Watch(t.Context(), b.newest(), 0) {
		_ = j
	}
	if b.digest("x:y") == "" {
		t.Error("the image is not at the target")
	}
}
