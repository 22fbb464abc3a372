package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/mirror"
	"github.com/drayage/dray/internal/testbed"
)

// awaiting is a writer on which a test can wait for a text.
type awaiting struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newAwaiting() *awaiting { return &awaiting{changed: make(chan struct{})} }

func (w *awaiting) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
	return w.text.Write(b)
}

func (w *awaiting) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// await waits until all texts have been written.
func (w *awaiting) await(t *testing.T, texts ...string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		w.mu.Lock()
		missing, changed := "", w.changed
		for _, s := range texts {
			if !strings.Contains(w.text.String(), s) {
				missing = s
			}
		}
		w.mu.Unlock()
		if missing == "" {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%q was not written:\n%s", missing, w)
		}
	}
}

func TestAWatchRunsRulesReadsThemAgainAndStops(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Random(t, src, "tool", "v1", testbed.RandomOptions{Seed: 2})
	dir := t.TempDir()
	file := filepath.Join(dir, "mirrors.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rule := func(name, repo string) string {
		return "- name: " + name + "\n  source: " + src.Host + "/" + repo + "\n  target: " + dst.Host + "\n  every: 6h\n"
	}
	write("rules:\n" + rule("one", "app") + rule("broken", "none"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hangup := make(chan os.Signal)
	out, story := newAwaiting(), newAwaiting()
	env := func(name string) string {
		return map[string]string{"DRAY_STATE_DIR": filepath.Join(dir, "state")}[name]
	}
	done := make(chan int)
	go func() {
		done <- Main(ctx, []string{"mirror", "-f", file, "--watch", "--plain-http", "-o", "json"}, app.IO{In: strings.NewReader(""), Out: out, Err: story, Env: env,
			Hangup: func(context.Context) <-chan os.Signal { return hangup }})
	}()
	story.await(t, `msg="run ended" rule=one outcome=ok drift=1 left=0`, `msg="run ended" rule=broken outcome=failed`, `msg="step failed" rule=broken`)
	out.await(t, `"rule":"one","outcome":"ok"`, `"rule":"broken","outcome":"failed"`)

	write("rules:\n- name: one\n  wat: 1\n")
	hangup <- syscall.SIGHUP
	story.await(t, `msg="new rules are invalid, the old rules stay in use" err=`, `unknown key \"wat\"`)

	write("rules:\n" + rule("one", "app") + rule("two", "tool"))
	hangup <- syscall.SIGHUP
	story.await(t, `msg="rule is gone" rule=broken`, `msg="run ended" rule=two outcome=ok`)
	if n := strings.Count(story.String(), `msg="run begins" rule=one`); n != 1 {
		t.Errorf("a rule that did not change ran %d times", n)
	}
	testbed.Same(t, src, dst, "tool", "v1", "tool", "v1")

	began := time.Now()
	cancel()
	if code := <-done; code != 0 || time.Since(began) > 5*time.Second {
		t.Errorf("code %d after %s\n%s", code, time.Since(began), story)
	}
	story.await(t, "msg=stopped")

	// The next watch knows when the rules ran last, so nothing is due for hours.
	again, quiet := context.WithCancel(t.Context())
	later := newAwaiting()
	go func() {
		done <- Main(again, []string{"mirror", "-f", file, "--watch", "--plain-http"}, app.IO{In: strings.NewReader(""), Out: out, Err: later, Env: env})
	}()
	later.await(t, `msg="next run" rule=one`, `msg="next run" rule=two`)
	quiet()
	if code := <-done; code != 0 || strings.Contains(later.String(), "run begins") {
		t.Errorf("code %d\n%s", code, later)
	}
}

func TestAWatchThatIsStoppedLeavesNothingHalfWrittenAndGoesOnLater(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	for _, tag := range []string{"v1", "v2", "v3", "v4", "v5", "v6"} {
		testbed.Random(t, src, "app", tag, testbed.RandomOptions{Seed: uint64(tag[1]), Size: 1 << 20})
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "mirrors.yaml")
	rules := "rules:\n- {name: all, source: " + src.Host + ", target: " + dst.Host + ", every: 6h}\n"
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	story := newAwaiting()
	env := func(name string) string {
		return map[string]string{"DRAY_STATE_DIR": filepath.Join(dir, "state")}[name]
	}
	done := make(chan int)
	go func() {
		done <- Main(ctx, []string{"mirror", "-f", file, "--watch", "--plain-http"}, app.IO{In: strings.NewReader(""), Out: newAwaiting(), Err: story, Env: env})
	}()
	story.await(t, `msg="run begins" rule=all`)
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("code %d\n%s", code, story)
	}
	var out, err bytes.Buffer
	if code := Main(t.Context(), []string{"mirror", "-f", file, "--plain-http"}, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: env}); code != 0 {
		t.Errorf("code %d\n%s", code, &err)
	}
	testbed.Same(t, src, dst, "app", "v6", "app", "v6")
	left, gerr := filepath.Glob(filepath.Join(dir, "state", "mirrors", "*", ".new-*"))
	if gerr != nil || len(left) > 0 {
		t.Error(left, gerr)
	}
}

func TestOneRuleIsRunByOneProcessAtATime(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1})
	dir := t.TempDir()
	file := filepath.Join(dir, "mirrors.yaml")
	rules := "rules:\n- {name: all, source: " + src.Host + ", target: " + dst.Host + "}\n"
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	state, err := mirror.StateFor(dir, file)
	if err != nil {
		t.Fatal(err)
	}
	unlock, alone, err := state.Lock(t.Context(), "all")
	if err != nil || !alone {
		t.Fatal(alone, err)
	}
	env := func(name string) string { return map[string]string{"DRAY_STATE_DIR": dir}[name] }
	run := func() (int, string) {
		var story bytes.Buffer
		code := Main(t.Context(), []string{"mirror", "-f", file, "--plain-http"}, app.IO{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &story, Env: env})
		return code, story.String()
	}
	if code, story := run(); code != 0 || !strings.Contains(story, "all: note: another process runs this rule\ndray: all: skipped\n") {
		t.Errorf("code %d\n%s", code, story)
	}
	unlock()
	if code, story := run(); code != 0 || !strings.Contains(story, "all: ok, drift 1, left 0") {
		t.Errorf("code %d\n%s", code, story)
	}
}
