package cli_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/oci"
)

var update = flag.Bool("update", false, "rewrite the expected output of scripts, and the files of testdata/help")

// TestScripts runs testdata/script/*.txtar. In addition to the commands of testscript there are:
//
//	registry NAME [basic|bearer|acr|readonly|throttled|tls]     start a registry; $NAME is its host
//	registry NAME shelf=REPO; shelve NAME DIGEST [TAG…]         start one that has Azure's lists of a repository; add to them
//	registry NAME live=REPO; lock NAME TAG ATTRIBUTE…           the same, with its real content; switch attributes of a tag off
//	image NAME REGISTRY REPO TAG [index=N] [nested=N] [layers=N] [size=N] [seed=N]
//	                                            store an image; $NAME is its digest
//	stand HOST=REGISTRY…                        connections to port 80 of HOST reach the registry
//	dray ARGS…                                  run dray in process; it must exit 0
//	exit CODE ARGS…                             run dray in process; it must exit with CODE
//	expand FILE                                 put the values of variables into a file
//	mask FILE COPY                              copy a file with names in place of values, as in output
//	windows FILE COPY                           copy a file as an editor of Windows saves it
//	record NAME                                 set $NAME to the last stdout, one line, which output shows as {NAME}
//	keep FILE ARGS…                             run dray in process and write its stdout to the file
//	feed FILE                                   give the next dray the file as stdin
//	json PATH WANT                              check that the last stdout is JSON with WANT at PATH ("steps.0.state", "steps.len")
//	same REGISTRY REPO REF REGISTRY REPO REF   check that two images are equal in every byte
//	hinted CODE WORD                            let a shell run the last command that the last stderr shows, which has
//	                                            WORD in it; it must exit with CODE
//	paper FILE [FROM=TO…]                       run the blocks of a page of docs
//	tour FILE [QUOTING…]                        run a page of docs, and compare its output
//	release DIR                                 write an image like the release image to a layout on disk
//	entra                                       set a service principal in the environment, and start an Entra
//	sign REGISTRY REPO TAG SIGNATURE            store a document like those of cosign for an image
//	pipeline FILE [FROM=TO…]                    run the shell scripts of a pipeline of examples
//	server NAME ARGS…                           run dray serve in process; $NAME is its address, which it keeps when it
//	                                            is stopped (halt NAME) and started again
//	forget REGISTRY; requests REGISTRY METHOD KIND N            forget the log; check the number of requests since
//
// Output shows hosts and digests of images as {NAME}, the directory of the script as {WORK}, durations as T.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		WorkdirRoot: t.TempDir(), // so that what scripts leave is where other tests leave it
		Dir:         "testdata/script", UpdateScripts: *update, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Values["script"] = &script{tb: env.T().(testing.TB), registries: map[string]*testbed.Registry{}, shelves: map[string]*beside.Shelf{}, servers: map[string]func(){}}
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GORACE", os.Getenv("GORACE")) // with the value of make test, each process ends without a sleep of one second
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"registry": command((*script).startRegistry),
			"image":    command((*script).storeImage),
			"artifact": command((*script).storeArtifact),
			"stand":    command((*script).stand),
			"dray":     command((*script).dray),
			"exit":     command((*script).exit),
			"expand":   command((*script).expand),
			"mask":     command((*script).mask),
			"windows":  command((*script).windows),
			"feed":     command((*script).feed),
			"keep":     command((*script).keep),
			"json":     command((*script).json),
			"same":     command((*script).same),
			"shelve":   command((*script).shelve),
			"lock":     command((*script).lock),
			"paper":    command((*script).paper),
			"tour":     command((*script).tour),
			"release":  command((*script).release),
			"entra":    command((*script).principal),
			"forget":   command((*script).forget),
			"requests": command((*script).requests),
			"pipeline": command((*script).pipeline),
			"server":   command((*script).serve),
			"halt":     command((*script).halt),
			"record":   command((*script).record),
			"hinted":   command((*script).hinted),
			"sign":     command((*script).sign),
		},
	})
}

// script is the state that the commands of one script share.
type script struct {
	tb         testing.TB
	registries map[string]*testbed.Registry
	shelves    map[string]*beside.Shelf
	names      []string // pairs for strings.NewReplacer: a value, and how output shows it
	servers    map[string]func()
	dial       func(ctx context.Context, network, addr string) (net.Conn, error)
	stdin      string
	stdout     []byte
	stderr     string
}

func command(do func(*script, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command does not take !")
		}
		do(ts.Value("script").(*script), ts, args)
	}
}

func (s *script) startRegistry(ts *testscript.TestScript, args []string) {
	var o testbed.Options
	for _, word := range args[1:] {
		switch word {
		case "basic":
			o.Auth.Mode = testbed.Basic
		case "bearer":
			o.Auth.Mode = testbed.Bearer
		case "acr":
			ts.Setenv("entra", entraToken)
			o.Auth = testbed.Auth{Mode: testbed.Bearer, Dialect: testbed.ACR, Entra: map[string]string{entraToken: "user"}}
		case "open": // takes an index without all of its images
			o.Content = testbed.Open
		case "readonly":
			o.Front = readOnly
		case "unsigned":
			o.Front = unsigned
		case "throttled":
			o.Front = throttled
		case "tls":
			o.Scheme = testbed.HTTPS
		default:
			if !s.onShelf(args[0], word, &o) {
				ts.Fatalf("registry: %q", word)
			}
		}
	}
	r := testbed.Distribution(s.tb, o)
	s.registries[args[0]] = r
	s.name(ts, args[0], r.Host)
	if o.Scheme == testbed.HTTPS {
		ts.Setenv(args[0]+"_ca", r.CAFile(s.tb))
	}
}

// entraToken has the claims of an Entra access token. It is $entra in scripts that start an acr registry.
const entraToken = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL3N0cy53aW5kb3dzLm5ldC9jYW5hcnkvIn0.c2lnLWNhbmFyeS03ZjNhOTE"

// throttled answers every request with 429 and asks to wait for an hour.
func throttled(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
}

// unsigned refuses documents that refer to others.
func unsigned(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
			next.ServeHTTP(w, r)
			return
		}
		raw, err := io.ReadAll(r.Body)
		if err != nil || bytes.Contains(raw, []byte(`"subject"`)) {
			testbed.Refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "a subject is not supported")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		next.ServeHTTP(w, r)
	})
}

// readOnly answers 403 to every request that writes.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"errors":[{"code":"DENIED","message":"read only"}]}`)
	})
}

func (s *script) name(ts *testscript.TestScript, name, value string) {
	ts.Setenv(name, value)
	s.names = append(s.names, value, "{"+name+"}")
}

func (s *script) storeImage(ts *testscript.TestScript, args []string) {
	o := map[string]int{"index": 0, "nested": 0, "layers": 1, "size": 0, "seed": 0, "foreign": 0}
	for _, word := range args[4:] {
		key, value, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(value)
		if _, known := o[key]; !known || err != nil {
			ts.Fatalf("image: %q", word)
		}
		o[key] = n
	}
	r := s.registries[args[1]]
	var m testbed.Image
	switch {
	case o["index"] > 0:
		m = testbed.Index(s.tb, r, args[2], args[3], o["index"])
	case o["nested"] > 0:
		m = testbed.Nested(s.tb, r, args[2], args[3], o["nested"])
	case o["foreign"] > 0:
		m = testbed.Foreign(s.tb, r, args[2], args[3], "http://127.0.0.1:9/layer")
	default:
		m = testbed.Random(s.tb, r, args[2], args[3], testbed.RandomOptions{Layers: o["layers"], Size: int64(o["size"]), Seed: uint64(o["seed"])})
	}
	s.name(ts, args[0], m.Digest())
}

// storeArtifact stores a document that refers to another: artifact NAME REGISTRY REPO DIGEST, or that has a
// digest tag: artifact NAME REGISTRY REPO DIGEST .sig.
func (s *script) storeArtifact(ts *testscript.TestScript, args []string) {
	r := s.registries[args[1]]
	if len(args) == 5 {
		tag := strings.Replace(args[3], ":", "-", 1) + args[4]
		s.name(ts, args[0], testbed.Artifact(s.tb, r, args[2], tag, v1.Descriptor{}).Digest())
		return
	}
	head := r.Direct(s.tb, http.MethodHead, "/v2/"+args[2]+"/manifests/"+args[3], testbed.EveryType(), nil, nil)
	of := v1.Descriptor{MediaType: head.Header.Get("Content-Type"), Digest: oci.Digest(args[3]), Size: head.ContentLength}
	s.name(ts, args[0], testbed.Artifact(s.tb, r, args[2], "", of).Digest())
}

var durations = regexp.MustCompile(`\b\d+\.\d s\b|\b\d+ ms\b|took=[0-9.]+s`)

func (s *script) run(ts *testscript.TestScript, args []string) int {
	var out, err bytes.Buffer
	code := program(context.Background(), args, app.IO{
		In: strings.NewReader(s.stdin), Out: &out, Err: &err, Env: ts.Getenv, Home: ts.Getenv("HOME"),
		Dial: s.dial, Verifier: verifier(ts),
	})
	s.stdin, s.stdout, s.stderr = "", bytes.Clone(out.Bytes()), err.String()
	io.WriteString(ts.Stdout(), s.masked(ts, out.String()))
	io.WriteString(ts.Stderr(), durations.ReplaceAllString(s.masked(ts, err.String()), "T"))
	return code
}

// stand puts registries in place of hosts outside of this machine.
func (s *script) stand(_ *testscript.TestScript, args []string) {
	at := map[string]string{}
	for _, arg := range args {
		host, name, _ := strings.Cut(arg, "=")
		at[net.JoinHostPort(host, "80")] = s.registries[name].Host
	}
	s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, cmp.Or(at[addr], addr))
	}
}

// masked replaces values that differ from run to run by names.
func (s *script) masked(ts *testscript.TestScript, text string) string {
	return strings.NewReplacer(append(slices.Clone(s.names), ts.Getenv("WORK"), "{WORK}")...).Replace(text)
}

func (s *script) mask(ts *testscript.TestScript, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(s.masked(ts, ts.ReadFile(args[0]))), 0o600))
}

func (s *script) dray(ts *testscript.TestScript, args []string) {
	s.exit(ts, append([]string{"0"}, args...))
}

func (s *script) exit(ts *testscript.TestScript, args []string) {
	if code := s.run(ts, args[1:]); strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func (s *script) expand(ts *testscript.TestScript, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

func (s *script) keep(ts *testscript.TestScript, args []string) {
	s.exit(ts, append([]string{"0"}, args[1:]...))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), s.stdout, 0o600))
}

// windows adds a byte order mark to a file, puts CR before each LF, and removes the last line end.
func (s *script) windows(ts *testscript.TestScript, args []string) {
	text := "\ufeff" + strings.ReplaceAll(strings.TrimSuffix(ts.ReadFile(args[0]), "\n"), "\n", "\r\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

func (s *script) feed(ts *testscript.TestScript, args []string) { s.stdin = ts.ReadFile(args[0]) }

func (s *script) json(ts *testscript.TestScript, args []string) {
	var v any
	if err := json.Unmarshal(s.stdout, &v); err != nil {
		ts.Fatalf("stdout is no JSON: %v\n%s", err, s.stdout)
	}
	for key := range strings.SplitSeq(args[0], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			i, err := strconv.Atoi(key)
			switch {
			case key == "len":
				v = len(at)
			case err == nil && i < len(at):
				v = at[i]
			default:
				v = nil
			}
		default:
			v = nil
		}
	}
	if got := fmt.Sprint(v); got != args[1] {
		ts.Fatalf("%s is %s, want %s\n%s", args[0], got, args[1], s.stdout)
	}
}

func (s *script) same(ts *testscript.TestScript, args []string) {
	testbed.Same(s.tb, s.registries[args[0]], s.registries[args[3]], args[1], args[2], args[4], args[5])
}

func (s *script) forget(_ *testscript.TestScript, args []string) { s.registries[args[0]].Reset() }

func (s *script) requests(ts *testscript.TestScript, args []string) {
	method, kind := strings.Trim(args[1], "*"), testbed.Kind(strings.Trim(args[2], "*"))
	if n := s.registries[args[0]].Count(method, kind); strconv.Itoa(n) != args[3] {
		ts.Fatalf("%d %s %s, want %s\n%s", n, method, kind, args[3], s.registries[args[0]].Story())
	}
}
