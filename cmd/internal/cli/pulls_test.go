package cli

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
)

// For a registry that counts pulls as Docker Hub does, the last line reports them.
func TestTheLastLineTellsOfPulls(t *testing.T) {
	limit := &beside.PullLimit{Limit: 3, Window: 6 * time.Hour}
	// A refusal may come before the pulls that are in progress have ended. These count too.
	slow := func(next http.Handler) http.Handler {
		return limit.Front(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodGet && testbed.Parse(req.URL.Path).Kind == testbed.Manifest {
				time.Sleep(100 * time.Millisecond)
			}
			next.ServeHTTP(w, req)
		}))
	}
	hub := testbed.Distribution(t, testbed.Options{Front: slow})
	dst := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, hub, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Index(t, hub, "app", "v2", 3) // an index and three manifests, which is more than the pulls that are left
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "registries:\n  hub: {host: \"" + hub.Host + "\", kind: dockerhub, plain-http: true}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		tag  string
		code int
		want string
	}{
		{"v1", 0, `^dray: copied 1 tag: .* requests, ` + regexp.QuoteMeta(hub.Host) + `: 1 pull spent, 2 of 3 left, all back by \d{4}-\d\d-\d\d \d\d:\d\d UTC, .*$`},
		{"v1", 0, `^dray: nothing to do, up to date: 1 tag, 2 requests, ` + regexp.QuoteMeta(hub.Host) + `: 0 pulls spent, 2 of 3 left, .*$`},
		{"v2", 75, `(?m)^dray: ` + regexp.QuoteMeta(hub.Host) + `: 2 pulls spent, 0 of 3 left, all back by \d{4}-\d\d-\d\d \d\d:\d\d UTC$`},
	} {
		var out, err bytes.Buffer
		code := Main(t.Context(), []string{"copy", "--config", file, "--max-wait", "1s", "hub/app:" + tt.tag, dst.Host + "/app"}, app.IO{Out: &out, Err: &err, Env: noEnv})
		if code != tt.code || !regexp.MustCompile(tt.want).Match(bytes.TrimSpace(err.Bytes())) {
			t.Errorf("%s: exit %d, want %d; stderr\n%swant %s", tt.tag, code, tt.code, &err, tt.want)
		}
	}
}
