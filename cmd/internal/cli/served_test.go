package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// handing runs a command of a program without the functions of a server. It returns the arguments for drayd.
func handing(t *testing.T, args ...string) (given []string, code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	unread, end := io.Pipe() // reading it would block
	defer end.Close()
	code = Main(t.Context(), args, app.IO{In: unread, Out: &out, Err: &err, Env: noEnv, Home: t.TempDir(),
		Drayd: func(_ context.Context, args []string) (int, error) {
			given = args
			return 7, nil
		}})
	return given, code, out.String(), err.String()
}

func TestWhatTakesADatabaseIsDraydsWithTheArgumentsAsTheyAre(t *testing.T) {
	for _, args := range [][]string{
		{"serve"}, {"serve", "--listen", "127.0.0.1:0", "--data", "a b"}, {"serve", "--check", "-o", "json"}, {"--debug", "serve", "-q"},
		{"worker", "--database", "postgres://db/dray"}, {"serve", "gc", "--dry-run"}, {"serve", "backup", "to here"}, {"serve", "restore", "from"},
		{"serve", "token", "create", "ci", "--role", "submitter"}, {"serve", "token", "list"}, {"serve", "token", "revoke", "x"}, {"serve", "audit", "--verify"},
		{"serve", "secret", "put", "prod", "reg.example", "-u", "robot", "--password-stdin"}, {"serve", "secret", "put", "prod", "reg.example", "-u", "robot"},
		{"serve", "secret", "list", "--data", "d"}, {"serve", "secret", "remove", "prod"},
	} {
		given, code, stdout, stderr := handing(t, args...)
		if !slices.Equal(given, args) || code != 7 || stdout+stderr != "" {
			t.Errorf("%q: drayd was given %q; code %d, stdout %q, stderr %q", args, given, code, stdout, stderr)
		}
	}
}

func TestMistakesAndHelpNeedNoDrayd(t *testing.T) {
	for want, all := range map[int][][]string{
		2: {{"serve", "--bad"}, {"serve", "what"}, {"serve", "--slots", "x"}, {"serve", "--listen="}, {"worker", "x"}, {"serve", "backup"}, {"serve", "token", "create"},
			{"serve", "secret", "put", "prod", "reg.example", "-p", "x", "--password-stdin"}},
		0: {{"serve", "--help"}, {"worker", "--help"}, {"serve", "token"}, {"serve", "gc", "--help"}, {"man", "serve"}, {"completion", "bash"}, {"__complete", "serve", "--li"}},
	} {
		for _, args := range all {
			if given, code, _, stderr := handing(t, args...); given != nil || code != want {
				t.Errorf("%q: code %d, want %d; drayd was given %q; stderr %s", args, code, want, given, stderr)
			}
		}
	}
}

func TestAServerIsLookedAfterFromAfarWithoutDrayd(t *testing.T) {
	given, code, _, stderr := handing(t, "serve", "secret", "remove", "prod", "--server", "http://127.0.0.1:1")
	if given != nil || code != 1 || !strings.Contains(stderr, "check that dray serve is running there") {
		t.Errorf("code %d; drayd was given %q; stderr %s", code, given, stderr)
	}
}

func TestWhereDraydDoesNotRunTheErrorIsToldAsAnyOther(t *testing.T) {
	var out, err bytes.Buffer
	code := Main(t.Context(), []string{"serve"}, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv, Drayd: func(context.Context, []string) (int, error) {
		return 0, &fault.Fault{Kind: fault.Unavailable, Op: "run drayd", Err: errors.New("it is nowhere"), Hint: "install it"}
	}})
	if want := "dray: run drayd: unavailable: it is nowhere (hint: install it)\n"; code != 1 || out.Len() > 0 || err.String() != want {
		t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), err.String())
	}
}

// collecting runs gc of a program with the functions of a server, as dray runs drayd. It returns stderr.
func collecting(t *testing.T, caller string, flags ...string) string {
	t.Helper()
	var err bytes.Buffer
	env := func(name string) string { return map[string]string{app.CalledBy: caller}[name] }
	here := &app.Serving{Collect: func(context.Context, app.Setup, app.Sweep) (wire.Collected, error) { return wire.Collected{}, nil }}
	if code := Main(t.Context(), append([]string{"serve", "gc"}, flags...), app.IO{Out: io.Discard, Err: &err, Env: env, Home: t.TempDir(), Serving: here}); code != 0 {
		t.Errorf("code %d", code)
	}
	return err.String()
}

func TestALineSaysThatTheProgramsAreNotOfOneRelease(t *testing.T) {
	if got, want := collecting(t, "v0.0.1"), "dray: note: dray is v0.0.1 and drayd is "+app.Version()+"; install both from one release\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := collecting(t, "v0.0.1", "-q") + collecting(t, app.Version()) + collecting(t, ""); got != "" {
		t.Errorf("nothing to say, and it says %q", got)
	}
}

func TestAProgramHasTheCommandsThatItIsMadeFor(t *testing.T) {
	var out, err bytes.Buffer
	world := app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv, Only: []string{"serve", "worker", "version"}}
	if code := Main(t.Context(), []string{"--help"}, world); code != 0 || strings.Contains(out.String(), "import") || strings.Contains(out.String(), "dray man") ||
		!strings.Contains(out.String(), "  serve ") || !strings.Contains(out.String(), "\n  drayd COMMAND [flags]\n") {
		t.Errorf("code %d, stdout %s", code, out.String())
	}
	for typed, want := range map[string]string{
		"import": "dray: invalid: import is a command of dray, not of drayd (hint: run dray import; see drayd --help)\n",
		"imprt":  "dray: invalid: unknown command \"imprt\" (hint: see drayd --help)\n",
	} {
		err.Reset()
		if code := Main(t.Context(), []string{typed}, world); code != 2 || err.String() != want {
			t.Errorf("%s: code %d, stderr %s", typed, code, err.String())
		}
	}
	err.Reset()
	world.Env = func(name string) string { return map[string]string{app.CalledBy: app.Version()}[name] }
	if code := Main(t.Context(), []string{"serve", "tokens"}, world); code != 2 || !strings.HasSuffix(err.String(), "see dray serve --help)\n") {
		t.Errorf("called by dray: code %d, stderr %s", code, err.String())
	}
}
