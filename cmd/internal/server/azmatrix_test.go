package server_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
)

// said is what a command of az printed.
type said struct {
	code     int
	out, err string
}

// az runs commands of today's az, which `make clients` installs, in one process.
func (a *azure) az(t *testing.T, home string, commands ...[]string) []said {
	t.Helper()
	in, err := json.Marshal(commands)
	if err != nil {
		t.Fatal(err)
	}
	var got [][3]any
	a.driver(t, home, in, &got)
	if len(got) != len(commands) {
		t.Fatal(got)
	}
	all := make([]said, len(got))
	for i, g := range got {
		all[i] = said{int(g[0].(float64)), g[1].(string), g[2].(string)}
	}
	return all
}

// signIn are the commands that log az in at the server.
func (a *azure) signIn(user, secret string) [][]string {
	return [][]string{
		{"cloud", "register", "-n", "dray", "--endpoint-resource-manager", a.base, "--suffix-acr-login-server-endpoint", ".azurecr.io"},
		{"cloud", "set", "-n", "dray"},
		{"login", "--service-principal", "-u", user, "-p", secret, "--tenant", "adfs"},
	}
}

// driver runs az.py and decodes what it prints.
func (a *azure) driver(t *testing.T, home string, in []byte, out any, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(azureTool(t, "python"), "bin", "python3"), append([]string{"testdata/azure/az.py"}, args...)...)
	var answer, errors bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &answer, &errors
	cmd.Env = slices.Concat(a.env, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "AZURE_CONFIG_DIR=" + filepath.Join(home, "azure"), "REQUESTS_CA_BUNDLE=" + a.root,
		"AZURE_CORE_COLLECT_TELEMETRY=no", "AZURE_CORE_NO_COLOR=yes", "PYTHONWARNINGS=ignore"})
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errors.String())
	}
	if err := json.Unmarshal(answer.Bytes(), out); err != nil {
		t.Fatal(err, answer.String(), errors.String())
	}
}

// matrix returns the section of docs/from-az.md that says what works.
func matrix(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "from-az.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n## What works, and what dray answers\n")
	section, _, ends := strings.Cut(rest, "\n## ")
	if !found || !ends {
		t.Fatal("docs/from-az.md has no section about what works")
	}
	return section
}

func TestEachCommandOfAzDoesWhatTheDocumentationSays(t *testing.T) {
	t.Parallel()
	azureTool(t, "python")
	own := []string{"127.0.0.1:*/team/**"}
	a := newAzure(t, nil, access.Rule{Principals: []string{"sdk"}, Verbs: []string{"pull", "import"}, Sources: own},
		access.Rule{Principals: []string{"sdk"}, Verbs: []string{"push", "delete"}, Targets: own, Rights: access.Rights},
		access.Rule{Principals: []string{"sdk"}, Verbs: []string{"import"}, Sources: own, Targets: own, Rights: access.Rights})
	for _, tag := range []string{"v1", "v2", "v3"} {
		a.push(t, "team/app", tag, tag)
	}
	a.push(t, "public/app", "v1", "public")
	commands := a.signIn("sdk", a.token)
	var results []string // of what follows the login
	for line := range strings.Lines(matrix(t)) {
		if command, result, ok := strings.Cut(strings.TrimPrefix(line, "| `az "), "` | "); ok && strings.HasPrefix(line, "| `az ") {
			commands, results = append(commands, strings.Fields(command)), append(results, result)
		}
	}
	began := time.Now()
	login := len(commands) - len(results)
	for i, s := range a.az(t, t.TempDir(), commands...) {
		result := ""
		if i >= login {
			result = results[i-login]
		}
		_, want, _ := strings.Cut(result, "says: `")
		want, _, says := strings.Cut(want, "`")
		switch {
		case says && (s.code == 0 || !strings.Contains(s.err, want)):
			t.Errorf("az %s: %d %s\nwant %s", strings.Join(commands[i], " "), s.code, s.err, want)
		case !says && s.code != 0:
			t.Errorf("az %s: %d %s", strings.Join(commands[i], " "), s.code, s.err)
		}
	}
	t.Log(len(commands), "commands took", time.Since(began))
}

// The rows of the table are commands that are run, and name others with the same answer. "group …" means all commands of
// the group.
func TestTheDocumentationHasEachCommandOfAz(t *testing.T) {
	t.Parallel()
	azureTool(t, "python")
	a, page := &azure{}, matrix(t)
	var commands []string
	a.driver(t, t.TempDir(), nil, &commands, "commands")
	for _, command := range commands {
		name := strings.TrimPrefix(command, "acr ")
		group, _, _ := strings.Cut(name, " ")
		if !strings.Contains(page, "`az acr "+name+" ") && !strings.Contains(page, "`az acr "+name+"`") && !strings.Contains(page, "`"+name+"`") &&
			!strings.Contains(page, "`"+group+" …`") && !strings.Contains(page, "`az acr "+group+" …`") {
			t.Errorf("az %s is missing", command)
		}
	}
}

// What each SDK gets from these calls is tested in sdk_test.go.
func TestTheProgramsMakeEachCallOfAnSDKThatTheDocumentationHas(t *testing.T) {
	t.Parallel()
	calls := 0
	for line := range strings.Lines(matrix(t)) {
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(cells) != 5 || !strings.HasPrefix(cells[1], "`") {
			continue
		}
		for i, file := range []string{"testdata/azure/sdk.py", "testdata/azure/sdk.mjs", "testdata/azure/Sdk.java", "sdkgo_test.go"} {
			program, err := os.ReadFile(filepath.FromSlash(file))
			if err != nil {
				t.Fatal(err)
			}
			if call := strings.Trim(cells[i+1], "` "); !strings.Contains(string(program), call) {
				t.Errorf("%s does not call %s", file, call)
			}
			calls++
		}
	}
	if calls < 60 {
		t.Error("the documentation has", calls, "calls")
	}
}
