package cli

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// shown is a row of testdata/flags.txt: commands that have a flag, and what shows that it has an effect
// there. The evidence is a script of testdata/script, or the name of a Go test; "compat" is for flags that
// are accepted for the sake of scripts and say that they have no effect.
type shown struct {
	line     int
	flag     string
	commands []string // "*" alone means all commands that have the flag, which share its code
	evidence string
	used     bool
}

// A flag without an effect is a promise that is not kept. A person who adds a flag adds the line or the
// test that shows its effect, and its row. The test checks that each flag of each command has one, that no
// row is stale, and that the evidence really runs a command of the row with the flag. What a reader of the
// table has to check is that the evidence would fail without the effect.
func TestEveryFlagHasAnEffectThatATestShows(t *testing.T) {
	rows := readShown(t)
	scripts, tests := runsOfScripts(t), sourcesOfTests(t)
	tree := map[string]*cobra.Command{}
	everyCommand(func(cmd *cobra.Command) { tree[strings.TrimPrefix(cmd.CommandPath(), "dray ")] = cmd })
	for name, cmd := range tree {
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if row := rowOf(rows, name, f); row == nil {
				t.Errorf("%s --%s: no row of testdata/flags.txt names what shows its effect", name, f.Name)
			} else {
				row.used = true
			}
		})
	}
	tree["dray"].PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if row := rowOf(rows, "dray", f); row == nil {
			t.Errorf("--%s of every command: no row of testdata/flags.txt names what shows its effect", f.Name)
		} else {
			row.used = true
		}
	})
	for _, row := range rows {
		if !row.used {
			t.Errorf("testdata/flags.txt:%d: no such flag of such a command needs this row", row.line)
		}
		row.check(t, tree, scripts, tests)
	}
}

// rowOf returns the row for a flag of a command: the one that names the command, else that for all
// commands. A plan is made by the command of its verb, so what shows an effect there shows it here, unless
// plans do not take the flag.
func rowOf(rows []*shown, name string, f *pflag.Flag) *shown {
	names := []string{name}
	if verb, plans := strings.CutPrefix(name, "plan "); plans && (!f.Hidden || f.Name == "dry-run") {
		names = append(names, verb)
	}
	for _, name := range append(names, "*") {
		i := slices.IndexFunc(rows, func(r *shown) bool { return r.flag == f.Name && slices.Contains(r.commands, name) })
		if i >= 0 {
			return rows[i]
		}
	}
	return nil
}

func (r *shown) check(t *testing.T, tree map[string]*cobra.Command, scripts map[string][][]string, tests map[string]string) {
	t.Helper()
	at := fmt.Sprintf("testdata/flags.txt:%d: --%s", r.line, r.flag)
	having, texts := map[string]*pflag.Flag{}, map[string]bool{}
	for name, cmd := range tree {
		f := cmd.LocalNonPersistentFlags().Lookup(r.flag)
		if name == "dray" && f == nil {
			f = cmd.PersistentFlags().Lookup(r.flag)
		}
		if f != nil && (slices.Contains(r.commands, name) || r.commands[0] == "*") {
			having[name], texts[f.Usage] = f, true
		}
	}
	if r.commands[0] != "*" && len(having) < len(r.commands) {
		t.Errorf("%s: not all of %q have it", at, r.commands)
	}
	if r.commands[0] == "*" && len(texts) > 1 {
		t.Errorf("%s: its commands have different texts, so they do not share its code: write a row for each", at)
	}
	if r.evidence == "compat" {
		for text := range texts {
			if !strings.Contains(text, "has no effect") && !strings.Contains(text, "the same as") {
				t.Errorf("%s: its text does not say that it has no effect: %s", at, text)
			}
		}
		return
	}
	if body, ok := tests[r.evidence]; ok {
		if !strings.Contains(body, `"--`+r.flag) && !strings.Contains(body, " --"+r.flag) {
			t.Errorf("%s: %s does not give it", at, r.evidence)
		}
		return
	}
	lines, ok := scripts[r.evidence]
	if !ok {
		t.Errorf("%s: there is neither a script nor a test %s", at, r.evidence)
		return
	}
	if !slices.ContainsFunc(lines, func(words []string) bool { return gives(words, having, r.flag) }) {
		t.Errorf("%s: no line of %s runs one of its commands with it", at, r.evidence)
	}
}

// gives reports whether a command line runs one of the commands with the flag.
func gives(words []string, having map[string]*pflag.Flag, name string) bool {
	for path, f := range having {
		parts := strings.Fields(path)
		if path == "dray" {
			parts = nil
		}
		if len(words) < len(parts) || !slices.Equal(words[:len(parts)], parts) {
			continue
		}
		for _, w := range words[len(parts):] {
			if word, _, _ := strings.Cut(w, "="); word == "--"+name || f.Shorthand != "" && w == "-"+f.Shorthand {
				return true
			}
		}
	}
	return false
}

// readShown reads testdata/flags.txt.
func readShown(t *testing.T) (rows []*shown) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "flags.txt"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		cells := strings.Split(strings.TrimSpace(line), "|")
		if strings.HasPrefix(line, "#") || len(cells) == 1 {
			continue
		}
		if len(cells) != 3 {
			t.Fatalf("testdata/flags.txt:%d: not FLAG | COMMANDS | EVIDENCE", n)
		}
		r := &shown{line: n, flag: strings.TrimSpace(cells[0]), evidence: strings.TrimSpace(cells[2])}
		for c := range strings.SplitSeq(cells[1], ",") {
			r.commands = append(r.commands, strings.TrimSpace(c))
		}
		for _, before := range rows {
			if before.flag == r.flag && slices.ContainsFunc(r.commands, func(c string) bool { return slices.Contains(before.commands, c) }) {
				t.Errorf("testdata/flags.txt:%d: line %d has this flag of one of these commands", n, before.line)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// runsOfScripts returns the command lines of dray in each script, without the words before them.
func runsOfScripts(t *testing.T) map[string][][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	runs := map[string][][]string{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			words := strings.Fields(line)
			switch {
			case len(words) > 1 && words[0] == "dray":
				words = words[1:]
			case len(words) > 2 && (words[0] == "exit" || words[0] == "keep"):
				words = words[2:]
			case len(words) > 2 && words[0] == "server":
				words = append([]string{"serve"}, words[2:]...)
			default:
				continue
			}
			runs[filepath.Base(file)] = append(runs[filepath.Base(file)], words)
		}
	}
	return runs
}

// sourcesOfTests returns the source of each Go test of the programs.
func sourcesOfTests(t *testing.T) map[string]string {
	t.Helper()
	tests := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, path, raw, 0)
		if err != nil {
			return err
		}
		for _, decl := range tree.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = string(raw[set.Position(f.Pos()).Offset:set.Position(f.End()).Offset])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// A missing file of certificates is an error before any request, so it shows for each command that its
// flags about registries reach what it does.
func TestTheFlagsAboutRegistriesReachEachCommandThatHasThem(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list := file("list", "localhost:1/a:v1 localhost:2/a:v1\n")
	rules := file("rules.yaml", "rules: [{name: x, source: localhost:1, target: localhost:2}]\n")
	from, to := ref.Repo{Host: "localhost:1", Path: "a"}, ref.Repo{Host: "localhost:2", Path: "a"}
	var lines bytes.Buffer
	step := plan.Step{Action: plan.Copy, From: from.At("sha256:" + strings.Repeat("a", 64)), To: to.Tagged("v1"), Size: 1}
	if err := (&plan.Plan{Verb: "copy", Overwrite: plan.Update, Steps: []plan.Step{step}}).Write(&lines); err != nil {
		t.Fatal(err)
	}
	made := file("plan.json", lines.String())
	two, one := "localhost:1/a:v1 localhost:2/a:v1", "localhost:1/a:v1"
	args := map[string]string{
		"apply": made, "batch": "-f " + list, "check": two, "copy": two, "digest": one, "inspect": one, "ls": "localhost:1", "manifest": one,
		"import": "--source " + one + " --name localhost:2", "login": "localhost:1 -u a -p b", "mirror": "-f " + rules,
		"manifest list-metadata": "-r localhost:1 -n a", "manifest show": "-r localhost:1 -n a:v1",
		"manifest delete": one + " --yes", "manifest list": "localhost:1/a", "manifest list-referrers": one, "manifest show-metadata": one,
		"manifest update-metadata": one, "repository show": "-n localhost:1 -t a:v1",
		"repository update": "-n localhost:1 --repository a",
		"plan copy":         two, "referrers": one, "plan cost": made, "plan import": "--source " + one + " --name localhost:2", "plan transfer": "localhost:1 localhost:2",
		"repository delete": "-n localhost:1 -t a:v1 --yes", "repository list": "-n localhost:1", "repository show-manifests": "-n localhost:1 --repository a",
		"repository show-tags": "-n localhost:1 --repository a", "repository untag": "-n localhost:1 -t a:v1", "rm": "--yes " + one, "tag": one + " v2",
		"bundle create": "--transfer localhost:1 -o " + filepath.Join(dir, "a.tar"), "bundle have": "localhost:1",
		"bundle load": "a.tar localhost:2", "transfer": "localhost:1 localhost:2", "verify": "localhost:1 localhost:2",
	}
	everyCommand(func(cmd *cobra.Command) {
		f := cmd.LocalNonPersistentFlags().Lookup("ca-file")
		if f == nil || flag.HeadingOf(f) != flag.Registries {
			return
		}
		name := strings.TrimPrefix(cmd.CommandPath(), "dray ")
		given, ok := args[name]
		if !ok {
			t.Errorf("%s has flags about registries: write its arguments into this test", name)
			return
		}
		delete(args, name)
		var stdout, err bytes.Buffer
		words := append(strings.Fields(name+" "+given), "--ca-file", filepath.Join(dir, "none.pem"))
		code := Main(t.Context(), words, app.IO{In: strings.NewReader(""), Out: &stdout, Err: &err, Env: noEnv, Home: dir})
		if !strings.Contains(stdout.String()+err.String(), "none.pem") {
			t.Errorf("%q: code %d, stderr %s", words, code, err.String())
		}
	})
	if len(args) > 0 {
		t.Errorf("no command needs the arguments of %q", slices.Collect(maps.Keys(args)))
	}
}

// busy is in front of a registry and counts how many manifests or blobs are asked for at once. It holds each request
// until as many as are expected are there, so that a loaded machine does not count fewer. An answer begins after its
// request was counted off, so that the next request of a client is never counted beside the one before it.
type busy struct {
	kind      string // "/manifests/" or "/blobs/"
	mu        sync.Mutex
	now, most int
	want      int
	reached   chan struct{} // closed when want requests are there
}

// expect begins a new count, which is expected to reach want.
func (b *busy) expect(want int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.most, b.want, b.reached = 0, want, make(chan struct{})
}

func (b *busy) counted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most
}

func (b *busy) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, b.kind) {
			b.mu.Lock()
			b.now++
			b.most = max(b.most, b.now)
			if b.now == b.want {
				close(b.reached)
				b.want = 0
			}
			reached := b.reached
			b.mu.Unlock()
			select {
			case <-reached:
			case <-time.After(5 * time.Second):
			}
			time.Sleep(20 * time.Millisecond) // for one more than expected
			b.mu.Lock()
			b.now--
			b.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

func TestTransferAndMirrorCopyAsManyImagesAtOnceAsTheirFlagsSay(t *testing.T) {
	b := busy{kind: "/manifests/"}
	src := testbed.Distribution(t, testbed.Options{Front: b.front})
	for i := range 6 {
		testbed.Random(t, src, fmt.Sprintf("r%d", i/2), fmt.Sprintf("v%d", i%2), testbed.RandomOptions{Seed: uint64(i + 1), Size: 100})
	}
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	most := func(want int, verb string, flags ...string) (int, time.Duration) {
		t.Helper()
		dst := testbed.Distribution(t, testbed.Options{})
		words := []string{verb, src.Host, dst.Host}
		if verb == "mirror" {
			if err := os.WriteFile(rules, fmt.Appendf(nil, "rules: [{name: x, source: '%s', target: '%s'}]\n", src.Host, dst.Host), 0o600); err != nil {
				t.Fatal(err)
			}
			words = []string{verb, "-f", rules}
		}
		b.expect(want)
		var stdout, err bytes.Buffer
		env := func(name string) string { return map[string]string{"DRAY_STATE_DIR": "off"}[name] }
		began := time.Now()
		code := Main(t.Context(), append(words, append(flags, "--plain-http")...), app.IO{In: strings.NewReader(""), Out: &stdout, Err: &err, Env: env, Home: t.TempDir()})
		if code != 0 {
			t.Fatalf("%q: code %d, stderr %s", words, code, err.String())
		}
		return b.counted(), time.Since(began)
	}
	for _, verb := range []string{"transfer", "mirror"} {
		if n, _ := most(1, verb, "--parallel-imports", "1"); n != 1 {
			t.Errorf("%s --parallel-imports 1: %d at once", verb, n)
		}
		if n, _ := most(3, verb); n < 3 {
			t.Errorf("%s: only %d at once", verb, n)
		}
	}
	if n, took := most(1, "transfer", "--delay-seconds", "0.1"); n != 1 || took < 500*time.Millisecond {
		t.Errorf("--delay-seconds: %d at once, %s, want one and 5 rests of 100 ms", n, took)
	}
}

// copied copies an image of four layers from a source with faults, and returns the exit code.
func copied(t *testing.T, front func(http.Handler) http.Handler, faults []*hostile.Fault, flags ...string) (code int, took time.Duration, story string) {
	t.Helper()
	src := hostile.Serve(t, testbed.NewDistribution(t, testbed.Options{}), testbed.Options{Front: front}, faults...)
	dst := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Layers: 4, Size: 300_000})
	env := func(name string) string { return map[string]string{"DRAY_STATE_DIR": "off"}[name] }
	var stdout, err bytes.Buffer
	began := time.Now()
	words := append([]string{"copy", src.Host + "/app:v1", dst.Host + "/app:v1", "--plain-http"}, flags...)
	code = Main(t.Context(), words, app.IO{In: strings.NewReader(""), Out: &stdout, Err: &err, Env: env, Home: t.TempDir(), Terminal: app.Terminal{Progress: true}})
	return code, time.Since(began), err.String()
}

func TestCopyIsAsPatientAndAsParallelAsItsFlagsSay(t *testing.T) {
	b := busy{kind: "/blobs/"}
	for flags, want := range map[string]int{"--concurrency 1": 1, "--concurrency 3": 3} {
		b.expect(want)
		if code, _, _ := copied(t, b.front, nil, strings.Fields(flags)...); code != 0 || b.counted() != want {
			t.Errorf("%s: code %d, %d at once", flags, code, b.counted())
		}
	}
	stall := hostile.StallAt(1000, 0).On("GET", testbed.Blob).Once()
	if code, took, _ := copied(t, nil, []*hostile.Fault{stall}, "--stall-timeout", "200ms"); code != 0 || took > 15*time.Second {
		t.Errorf("--stall-timeout: code %d in %s", code, took)
	}
	late := func() []*hostile.Fault {
		return []*hostile.Fault{hostile.NoHeader(time.Second).On("GET", testbed.Blob)}
	}
	for flags, want := range map[string]int{"--first-byte-timeout 50ms --retries 1": out.ExitFailed, "--first-byte-timeout 300ms": out.ExitOK, "--stall-timeout 50ms": out.ExitOK} {
		if code, _, story := copied(t, nil, late(), strings.Fields(flags)...); code != want {
			t.Errorf("%s: code %d, want %d\n%s", flags, code, want, story)
		}
	}
	for flags, want := range map[string]int{"--retries 1": out.ExitFailed, "--retries 3": out.ExitOK} {
		once := hostile.Status(503, nil, "").On("GET", testbed.Manifest).Times(2)
		if code, _, _ := copied(t, nil, []*hostile.Fault{once}, strings.Fields(flags+" --referrers=false")...); code != want {
			t.Errorf("%s: code %d, want %d", flags, code, want)
		}
	}
	for flags, want := range map[string]int{"--max-wait 0": 75, "--max-wait 5s": out.ExitOK} {
		once := hostile.TooMany("1").On("GET", testbed.Manifest).Once()
		if code, _, _ := copied(t, nil, []*hostile.Fault{once}, strings.Fields(flags)...); code != want {
			t.Errorf("%s: code %d, want %d", flags, code, want)
		}
	}
	slow := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				time.Sleep(600 * time.Millisecond)
			}
			next.ServeHTTP(w, r)
		})
	}
	if _, _, story := copied(t, slow, nil); !strings.Contains(story, "\x1b[") {
		t.Errorf("no bars: %q", story)
	}
	if _, _, story := copied(t, slow, nil, "--no-progress"); strings.Contains(story, "\x1b[") {
		t.Errorf("--no-progress: %q", story)
	}
}
