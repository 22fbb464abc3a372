package cli_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/internal/testbed"
)

// scriptKeys are the keys under which the pipelines in examples/ have shell scripts.
var scriptKeys = map[string]bool{"script": true, "inlineScript": true, "run": true}

// pipeline runs every shell script of a file of examples in order, except those that install dray. dray is on
// the path, and the other files of examples are in the same directory. Further arguments FROM=TO replace
// what the service that runs the pipeline would replace.
func (s *script) pipeline(ts *testscript.TestScript, args []string) {
	dir := filepath.Join("..", "..", "..", "examples")
	files, err := os.ReadDir(dir)
	ts.Check(err)
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(f.Name()), data, 0o600))
	}
	var doc yaml.Node
	ts.Check(yaml.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	var pairs []string
	for _, arg := range args[1:] {
		from, to, _ := strings.Cut(arg, "=")
		pairs = append(pairs, from, to)
	}
	putDrayOnPath(ts)
	ran := 0
	for _, text := range shellScripts(&doc) {
		if strings.Contains(text, "go install ") {
			continue
		}
		text = strings.NewReplacer(pairs...).Replace(text)
		ts.Logf("%s", text)
		ts.Check(ts.Exec("sh", "-euc", text))
		ran++
	}
	if ran < 3 {
		ts.Fatalf("%s: %d scripts ran", args[0], ran)
	}
}

// shellScripts returns the scripts below n. The scripts of a list are one script.
func shellScripts(n *yaml.Node) (all []string) {
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			all = append(all, shellScripts(child)...)
		}
		return all
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case !scriptKeys[key.Value]:
			all = append(all, shellScripts(value)...)
		case value.Kind == yaml.ScalarNode:
			all = append(all, value.Value)
		case value.Kind == yaml.SequenceNode:
			var lines []string
			for _, line := range value.Content {
				lines = append(lines, line.Value)
			}
			all = append(all, strings.Join(lines, "\n"))
		}
	}
	return all
}

func TestTheSmokeTestLeavesNothingBehind(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is missing: demo/smoke.sh is not tested")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dray := filepath.Join(t.TempDir(), "dray")
	if err := os.Symlink(self, dray); err != nil {
		t.Fatal(err)
	}
	hub, reg := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	image := testbed.Index(t, hub, "hello", "v1", 2)
	cmd := exec.Command(bash, filepath.Join("..", "..", "..", "demo", "smoke.sh"), dray, reg.Host+"/team")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "SMOKE_SOURCE="+hub.Host+"/hello:v1", "DOCKER_CONFIG=", "REGISTRY_AUTH_FILE=", "DRAY_CONFIG=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	deleted := map[string]bool{}
	own := regexp.MustCompile(`^/v2/team/dray-smoke-[0-9a-f]{12}(-copy)?/manifests/(.+)$`)
	for _, q := range reg.Log() {
		m := own.FindStringSubmatch(q.Path)
		switch {
		case q.Method != http.MethodPut && q.Method != http.MethodDelete || !strings.Contains(q.Path, "/manifests/"):
		case m == nil:
			t.Errorf("%s %s: outside of its own repositories", q.Method, q.Path)
		case q.Method == http.MethodDelete:
			deleted[m[1]+m[2]] = true
		}
	}
	if len(deleted) != 6 || !deleted[image.Digest()] || !deleted["-copy"+image.Digest()] {
		t.Errorf("of an index and its two children in two repositories these were deleted: %v\n%s", deleted, out)
	}
}
