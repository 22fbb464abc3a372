package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/internal/testbed"
)

// canceling is a writer that calls cancel when enough lines have been written.
type canceling struct {
	mu     sync.Mutex
	text   bytes.Buffer
	left   int
	cancel context.CancelFunc
}

func (c *canceling) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left -= bytes.Count(b, []byte("\n")); c.left <= 0 {
		c.cancel()
	}
	return c.text.Write(b)
}

func TestWhatAnInterruptCutsIsNotFinishedAndIsListed(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	begun := make(chan struct{}, 2)
	src := testbed.Distribution(t, testbed.Options{Front: stuck(func() { begun <- struct{}{} })})
	go func() {
		<-begun
		<-begun
		interrupt()
	}()
	dst := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Size: 4096})
	testbed.Random(t, src, "app", "v2", testbed.RandomOptions{Size: 4096, Seed: 2})
	testbed.Random(t, src, "app", "v3", testbed.RandomOptions{Size: 4096, Seed: 3})
	testbed.Random(t, src, "app", "v4", testbed.RandomOptions{Size: 4096, Seed: 4})
	testbed.Random(t, dst, "app", "v4", testbed.RandomOptions{Size: 4096, Seed: 4})
	list := filepath.Join(t.TempDir(), "again.txt")
	var stdout, stderr bytes.Buffer
	code := Main(ctx, []string{"transfer", src.Host + "/app", dst.Host + "/app", "--failed-to", list, "-o", "json",
		"--parallel-imports", "2", "--concurrency", "2"}, app.IO{In: strings.NewReader(""), Out: &stdout, Err: &stderr, Env: noEnv})
	want := fmt.Sprintf("dray: %s/app: 1 unchanged, 2 not finished, 1 not begun, T\n"+
		"dray: 3 images left to do, listed in %s, without the repositories that were not planned yet\n"+
		"dray: interrupted: 0 tags done, 2 not finished, 1 not begun; run the same command again to continue\n", dst.Host, list)
	if got := regexp.MustCompile(`\d+\.\d s|\d+ ms`).ReplaceAllString(stderr.String(), "T"); code != out.ExitInterrupted || got != want {
		t.Errorf("code %d, stderr\n%s\nwant\n%s", code, got, want)
	}
	var report struct {
		Steps  []struct{ State string }
		States map[string]int
	}
	err := json.Unmarshal(stdout.Bytes(), &report)
	if s := report.States; err != nil || s["not_finished"] != 2 || s["not_started"] != 1 || s["unchanged"] != 1 || s["failed"] != 0 || len(report.Steps) != 4 {
		t.Errorf("%v: %s", err, stdout.Bytes())
	}
	lines, err := os.ReadFile(list)
	if err != nil || strings.Count(string(lines), "\n# not finished\n") != 2 || strings.Count(string(lines), "\n# not begun\n") != 1 {
		t.Errorf("%v: %s", err, lines)
	}
}

func TestATransferThatIsInterruptedSaysSoAndGoesOnLater(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	for i := range 90 {
		testbed.Random(t, src, fmt.Sprintf("r%02d", i), "v1", testbed.RandomOptions{Seed: uint64(i + 1)})
	}
	failed := filepath.Join(t.TempDir(), "again.txt")
	args := []string{"transfer", src.Host, dst.Host, "--plain-http", "-o", "json", "--failed-to", failed}
	env := func(name string) string { return map[string]string{"DRAY_STATE_DIR": "off"}[name] }
	ctx, cancel := context.WithCancel(t.Context())
	story := &canceling{left: 5, cancel: cancel}
	var stdout bytes.Buffer
	began := time.Now()
	code := Main(ctx, args, app.IO{In: strings.NewReader(""), Out: &stdout, Err: story, Env: env})
	var report struct {
		Steps []struct{ State string }
		Error struct{ Kind string }
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v\n%s", err, &stdout)
	}
	if code != out.ExitInterrupted || report.Error.Kind != "canceled" || len(report.Steps) >= 90 || time.Since(began) > 20*time.Second {
		t.Errorf("code %d, %d steps, %+v\n%s", code, len(report.Steps), report.Error, &story.text)
	}
	if !strings.Contains(story.text.String(), "dray: interrupted: ") {
		t.Errorf("%s", &story.text)
	}
	stdout.Reset()
	var later bytes.Buffer
	if code := Main(t.Context(), args, app.IO{In: strings.NewReader(""), Out: &stdout, Err: &later, Env: env}); code != 0 {
		t.Errorf("code %d\n%s", code, &later)
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || len(report.Steps) != 90 {
		t.Errorf("%v, %d steps", err, len(report.Steps))
	}
	if _, err := os.Stat(failed); !os.IsNotExist(err) {
		t.Errorf("a list of failures is left: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(failed), "*")); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}
