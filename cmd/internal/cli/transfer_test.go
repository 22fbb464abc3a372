package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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
