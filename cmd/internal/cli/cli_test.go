package cli

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/testbed"
)

// noEnv is an environment without variables.
func noEnv(string) string { return "" }

func TestEveryCommandHasAnExampleAndEveryFlagIsExplained(t *testing.T) {
	root := newRoot(&app.App{}, nil)
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" || cmd.Example == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short %q, example %q", cmd.CommandPath(), cmd.Short, cmd.Example)
		}
		for line := range strings.SplitSeq(strings.ReplaceAll(cmd.Example, "\\\n", " "), "\n") {
			if !strings.HasPrefix(line, "  ") || !strings.Contains(line, "dray "+strings.TrimPrefix(cmd.CommandPath(), "dray ")) && cmd.HasParent() {
				t.Errorf("%s: example %q", cmd.CommandPath(), line)
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: usage %q", cmd.CommandPath(), f.Name, f.Usage)
			}
		})
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(root)
}

func TestACommandIsMadeAloneAndAsItIsAmongAll(t *testing.T) {
	whole := newRoot(&app.App{}, nil)
	for _, c := range whole.Commands() {
		alone := newRoot(&app.App{}, []string{c.Name(), "--help"}).Commands()
		if len(alone) != 1 || alone[0].Name() != c.Name() || alone[0].UseLine() != c.UseLine() {
			t.Errorf("%s: %d commands are made for it", c.Name(), len(alone))
		}
	}
	for _, args := range [][]string{{"--debug", "copy"}, {"help", "copy"}, {"__complete", "cop"}, {"cpy"}} {
		if n := len(newRoot(&app.App{}, args).Commands()); n != len(whole.Commands()) {
			t.Errorf("%v: %d commands, want all", args, n)
		}
	}
}

// stuck is a registry that begins to send a blob, calls reached, and sends no more.
func stuck(reached func()) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || testbed.Parse(r.URL.Path).Kind != testbed.Blob {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Length", "4096")
			w.Write(make([]byte, 100))
			http.NewResponseController(w).Flush()
			reached()
			<-r.Context().Done()
		})
	}
}

func TestAnInterruptStopsWithinASecondAndSaysWhatIsLeft(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	src := testbed.Distribution(t, testbed.Options{Front: stuck(interrupt)})
	dst := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Size: 4096})
	var out, err bytes.Buffer
	began := make(chan time.Time, 1)
	context.AfterFunc(ctx, func() { began <- time.Now() })
	code := Main(ctx, []string{"copy", src.Host + "/app:v1", dst.Host + "/app:v1", dst.Host + "/app:v2"},
		app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv})
	if took := time.Since(<-began); took > time.Second {
		t.Errorf("it took %s", took)
	}
	const want = "dray: interrupted: 0 of 2 steps done, 2 not finished; run the same command again to continue\n"
	if code != 130 || out.String() != "" || err.String() != want {
		t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), err.String())
	}
}

func TestAnInterruptedRunReportsInJSON(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	src := testbed.Distribution(t, testbed.Options{Front: stuck(interrupt)})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Size: 4096})
	var out, err bytes.Buffer
	code := Main(ctx, []string{"copy", src.Host + "/app:v1", "oci:" + t.TempDir() + "/x", "-o", "json"},
		app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv})
	if code != 130 || !strings.Contains(out.String(), `"kind": "canceled"`) {
		t.Errorf("code %d, stdout %s, stderr %s", code, out.String(), err.String())
	}
}

func TestAPersonIsAskedForUserAndPassword(t *testing.T) {
	reg := testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Basic}})
	var out, err bytes.Buffer
	home := t.TempDir()
	code := Main(t.Context(), []string{"login", reg.Host}, app.IO{In: strings.NewReader("user\nsecret-canary-7f3a91\n"), Out: &out, Err: &err, Env: noEnv, Home: home,
		Terminal: app.Terminal{Hide: func(context.Context) (func(), error) { return func() {}, nil }}})
	want := "logged in to " + reg.Host + "; the login is stored in docker config ~/.docker/config.json, in plain text\n"
	if code != 0 || out.String() != want || err.String() != "User: Password for user: \n" {
		t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), err.String())
	}
}
