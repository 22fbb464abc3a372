package cli_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

// provoked is one error that is provoked with a real registry or a real server.
type provoked struct {
	kind       fault.Kind
	side       string // "source", "target"; "server" or "" for an error without a side
	source     *hostile.Fault
	target     *hostile.Fault
	auth       testbed.Mode // of logins, at the side
	args       string       // SRC, DST, SRV and DIR stand for the hosts, the server and a directory
	name       string       // what the error must name
	cause      string
	noNextStep bool // there may be none
}

const (
	copies  = "copy SRC/app:v1 DST/app:v1 --retries 1"
	imports = "import --source SRC/app:v1 --name DST --image app:v1 --retries 1"
)

// codes has the exit code of each kind, as docs/exit-codes.md says.
var codes = map[fault.Kind]int{
	fault.Invalid: 2, fault.NotFound: 3, fault.Denied: 4, fault.Moved: 5, fault.Refused: 8, fault.Throttled: 75, fault.Canceled: 130,
	fault.Conflict: 1, fault.Full: 1, fault.TooLarge: 1, fault.Unavailable: 1, fault.Corrupt: 1,
}

func provocations() []provoked {
	page := hostile.Status(200, http.Header{"Content-Type": {"text/html"}}, "<html>").On("", testbed.Manifest)
	return []provoked{
		{kind: fault.Invalid, side: "source", args: "copy SRC/App:v1 DST/app:v1", name: "SRC/App:v1", cause: "lower case"},
		{kind: fault.Invalid, args: copies + " --frce", name: "copy", cause: "unknown flag --frce"},
		{kind: fault.Invalid, args: copies + " --config DIR/bad.yaml", name: "DIR/bad.yaml:1", cause: "unknown key"},
		{kind: fault.Invalid, args: "apply DIR/bad.yaml", name: "DIR/bad.yaml", cause: "not a plan of dray"},
		{kind: fault.NotFound, args: "copy oci:DIR/none DST/app:v1", side: "source", name: "DIR/none", cause: "no such directory"},
		{kind: fault.Canceled, args: copies, name: "", cause: "interrupted", noNextStep: true},

		{kind: fault.NotFound, side: "source", args: "copy SRC/app:nope DST/app:v1", name: "SRC/app:nope", cause: "no such tag"},
		{kind: fault.Denied, side: "source", auth: testbed.Basic, args: copies, name: "SRC/app:v1", cause: "no login"},
		{kind: fault.Moved, side: "source", args: "apply DIR/moved-source.json", name: "SRC/app:v2", cause: "when the plan was made"},
		{kind: fault.Refused, side: "source", source: page, args: copies, name: "SRC/app:v1", cause: "a web page"},
		{kind: fault.TooLarge, side: "source", source: hostile.EndlessManifest(), args: copies, name: "SRC/app", cause: "4 MiB"},
		{kind: fault.Throttled, side: "source", source: hostile.TooMany("7200"), args: copies, name: "SRC", cause: "asks to wait until"},
		{kind: fault.Unavailable, side: "source", source: hostile.Error(500, "UNKNOWN", "disk on fire").On("", testbed.Manifest), args: copies, name: "SRC/app:v1", cause: "500"},
		{kind: fault.Corrupt, side: "source", source: hostile.FlipBit(1).On(http.MethodGet, testbed.Blob), args: copies, name: "SRC/app", cause: "digest"},

		{kind: fault.NotFound, side: "target", target: hostile.Error(404, "NAME_UNKNOWN", "no project team").On(http.MethodPost, testbed.Upload), args: copies, name: "DST/app", cause: "no project team"},
		{kind: fault.Denied, side: "target", auth: testbed.Basic, args: copies, name: "DST/app", cause: "no login"},
		{kind: fault.Conflict, side: "target", args: "import --source SRC/app:v1 --name DST --image other:v1", name: "DST/other:v1", cause: "another digest"},
		{kind: fault.Moved, side: "target", args: "apply DIR/moved-target.json", name: "DST/other:v2", cause: "when the plan was made"},
		{kind: fault.Refused, side: "target", target: hostile.Status(301, http.Header{"Location": {"https://elsewhere.example/"}}, "").On(http.MethodPost, testbed.Upload), args: copies, name: "DST/app", cause: "elsewhere.example"},
		{kind: fault.TooLarge, side: "target", target: hostile.Error(413, "SIZE_INVALID", "manifest too big").On(http.MethodPut, testbed.Manifest), args: copies, name: "DST/app", cause: "manifest too big"},
		{kind: fault.Full, side: "target", target: hostile.Error(507, "DENIED", "no space left").On(http.MethodPost, testbed.Upload), args: copies, name: "DST/app", cause: "no space left"},
		{kind: fault.Throttled, side: "target", target: hostile.TooMany("7200"), args: copies, name: "DST", cause: "asks to wait until"},
		{kind: fault.Unavailable, side: "target", target: hostile.Error(500, "UNKNOWN", "disk on fire").On(http.MethodPost, testbed.Upload), args: copies, name: "DST/app", cause: "disk on fire"},
		{kind: fault.Corrupt, side: "target", target: hostile.Status(201, http.Header{"Docker-Content-Digest": {"sha256:" + strings.Repeat("a", 64)}}, "").On(http.MethodPut, testbed.Upload), args: copies, name: "DST/app", cause: "sha256:aaaa"},

		{kind: fault.Invalid, side: "server", args: "jobs list --server http://SRC", name: "http://SRC", cause: "no dray server"},
		{kind: fault.NotFound, side: "server", args: "jobs show 01KAM3ZQ6M8Y9S5V0T1X2B3C4D --server SRV --config DIR/good.yaml", name: "01KAM3ZQ6M8Y9S5V0T1X2B3C4D", cause: "not found"},
		{kind: fault.Denied, side: "server", args: "jobs list --server SRV --config DIR/token.yaml", name: "client.token-file", cause: "not a token of dray"},
		{kind: fault.Refused, side: "server", args: "jobs list --server https://SRC", name: "https://SRC", cause: "does not speak TLS"},
		{kind: fault.Unavailable, side: "server", args: "schedules run x --server http://127.0.0.1:1", name: "http://127.0.0.1:1", cause: "refused"},
	}
}

func TestEachKindOfErrorNamesItsSideTheNameTheCauseAndTheNextStep(t *testing.T) {
	documented, err := os.ReadFile("../../../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range provocations() {
		seen[string(p.kind)+" "+p.side] = true
		t.Run(string(p.kind)+" "+p.side+" "+p.cause, func(t *testing.T) {
			if !strings.Contains(string(documented), "\n| "+strconv.Itoa(codes[p.kind])+" | ") {
				t.Errorf("docs/exit-codes.md has no code %d", codes[p.kind])
			}
			p.check(t)
		})
	}
	for kind := range codes {
		for _, side := range []string{"source", "target"} {
			// The other pairs cannot be: a name has no side before it is read, only a target holds or refuses content.
			if !seen[string(kind)+" "+side] && !slices.Contains([]fault.Kind{fault.Invalid, fault.Canceled}, kind) &&
				(side != "source" || kind != fault.Conflict && kind != fault.Full) {
				t.Errorf("nothing provokes %s at the %s", kind, side)
			}
		}
	}
}

// check runs the command of p and looks at its only line of an error.
func (p provoked) check(t *testing.T) {
	t.Helper()
	src, dst, dir := p.registries(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if p.kind == fault.Canceled {
		cancel()
	}
	replace := strings.NewReplacer("SRC", src, "DST", dst, "DIR", dir)
	args := replace.Replace(p.args)
	if strings.Contains(args, "SRV") {
		srv := startServer(t, filepath.Join(dir, "data"), "127.0.0.1:0")
		write(t, dir, "good", runOut(t, "serve token create ann --role admin --server http://"+srv.host))
		write(t, dir, "good.yaml", "client: {server: 'http://"+srv.host+"', token-file: good}\n")
		args = strings.ReplaceAll(args, "SRV", "http://"+srv.host)
		write(t, dir, "token.yaml", "client: {server: 'http://"+srv.host+"', token-file: token}\n")
		write(t, dir, "token", "dray_wrong\n")
	}
	var line string
	for l := range strings.Lines(run(t, ctx, codes[p.kind], args)) {
		if strings.HasPrefix(l, "dray: ") && !strings.HasPrefix(l, "dray: note: ") {
			line = strings.TrimSpace(l)
			break
		}
	}
	text, hint, found := strings.Cut(line, " (hint: ")
	for _, side := range []string{"source", "target"} {
		if strings.Contains(text, ": "+side+": ") != (side == p.side) { // a step of many begins with the name of its target
			t.Errorf("the side is not %q: %s", p.side, line)
		}
	}
	if !strings.Contains(text, replace.Replace(p.name)) || !strings.Contains(text, replace.Replace(p.cause)) {
		t.Errorf("%q or %q is missing: %s", replace.Replace(p.name), p.cause, line)
	}
	if !found && !p.noNextStep || found && strings.TrimSuffix(hint, ")") == "" {
		t.Errorf("the next step is missing: %s", line)
	}
	t.Log(line)
}

// registries starts the registries of p, and writes the files that its commands need.
func (p provoked) registries(t *testing.T) (src, dst, dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, "bad.yaml", "hots: x\n")
	var armed atomic.Bool // after the images are there
	start := func(side string, f *hostile.Fault) *testbed.Registry {
		var o testbed.Options
		if p.side == side {
			o.Auth.Mode = p.auth
		}
		if f != nil {
			o.Front = func(next http.Handler) http.Handler {
				bad := hostile.Wrap(next, f)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if armed.Load() {
						bad.ServeHTTP(w, r)
					} else {
						next.ServeHTTP(w, r)
					}
				})
			}
		}
		return testbed.Distribution(t, o)
	}
	from, to := start("source", p.source), start("target", p.target)
	testbed.Random(t, from, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Random(t, from, "app", "v2", testbed.RandomOptions{Seed: 2})
	testbed.Random(t, to, "other", "v1", testbed.RandomOptions{Seed: 3})
	testbed.Random(t, to, "other", "v2", testbed.RandomOptions{Seed: 4})
	armed.Store(true)
	src, dst = from.Host, to.Host
	if p.kind == fault.Moved {
		out := filepath.Join(dir, "moved-"+p.side+".json")
		target := map[string]string{"source": dst + "/app:v2", "target": dst + "/other:v2"}[p.side]
		write(t, dir, filepath.Base(out), runOut(t, "plan copy "+src+"/app:v2 "+target+" -o json"))
		testbed.Random(t, from, "app", map[string]string{"source": "v2", "target": "v3"}[p.side], testbed.RandomOptions{Seed: 5})
		testbed.Random(t, to, "other", map[string]string{"source": "v3", "target": "v2"}[p.side], testbed.RandomOptions{Seed: 6})
	}
	return src, dst, dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command, which must end with code, and returns what it prints on stderr.
func run(t *testing.T, ctx context.Context, code int, args string) string {
	t.Helper()
	var err bytes.Buffer
	got := program(ctx, strings.Fields(args), app.IO{In: strings.NewReader(""), Out: io.Discard, Err: &err, Env: noEnv, Home: t.TempDir()})
	if got != code {
		t.Errorf("dray %s: exit code %d, want %d\n%s", args, got, code, &err)
	}
	return err.String()
}

func runOut(t *testing.T, args string) string {
	t.Helper()
	var out, err bytes.Buffer
	if code := program(t.Context(), strings.Fields(args), app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv, Home: t.TempDir()}); code != 0 {
		t.Fatalf("dray %s: exit code %d\n%s", args, code, &err)
	}
	return out.String()
}
