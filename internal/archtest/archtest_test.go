// Package archtest tests the rules of this repository: which package may import which, what the
// library must never link, how long a file may be, and the order of files in a package.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/drayage/dray"

// may lists, for each package, the packages of this module that it may import. A package that is
// not listed must not exist. Packages that import the fewest others come first.
var may = map[string]string{
	"fault":      "",
	"event":      "",
	"ref":        "fault",
	"oci":        "fault ref",
	"plan":       "fault internal/expression internal/kube internal/latest internal/letters internal/natural internal/python oci ref",
	"report":     "fault oci plan ref",
	"gate":       "fault oci ref",
	"credential": "fault internal/echo internal/ours ref",

	"internal/shell":          "",
	"internal/room":           "",
	"internal/echo":           "fault",
	"internal/transfer/fetch": "event fault oci ref",
	"internal/transfer":       "event fault internal/room internal/transfer/fetch oci ref",
	"internal/ours":           "fault",
	"internal/ledger":         "fault internal/ours internal/trouble oci ref",
	"internal/remote":         "credential event fault internal/echo internal/ledger internal/remote/ask internal/remote/limit internal/remote/list internal/remote/product internal/remote/push internal/remote/read internal/remote/reason internal/remote/signin internal/remote/subject internal/remote/wire internal/room oci ref",

	// The packages below remote, one for each kind of request. Packages that import the fewest
	// others come first.
	"internal/remote/product": "credential",
	"internal/remote/link":    "",
	"internal/remote/reason":  "credential fault internal/remote/product",
	"internal/remote/limit":   "credential fault internal/remote/reason ref",
	"internal/remote/wire":    "credential event fault internal/echo internal/remote/limit internal/remote/product internal/remote/reason internal/room ref",
	"internal/remote/signin":  "credential fault internal/remote/limit internal/remote/product internal/remote/reason internal/remote/wire ref",
	"internal/remote/ask":     "credential event fault internal/remote/limit internal/remote/reason internal/remote/signin internal/remote/wire oci ref",
	"internal/remote/read":    "event fault internal/remote/ask internal/remote/limit internal/remote/link internal/remote/reason internal/remote/wire oci ref",
	"internal/remote/list":    "credential event fault internal/remote/ask internal/remote/limit internal/remote/link internal/remote/product internal/remote/reason internal/remote/wire oci ref",
	"internal/remote/feed":    "fault internal/ledger internal/remote/limit oci",
	"internal/remote/push":    "credential event fault internal/ledger internal/remote/ask internal/remote/feed internal/remote/limit internal/remote/product internal/remote/read internal/remote/reason internal/remote/wire oci ref",
	"internal/remote/subject": "event fault internal/remote/ask internal/remote/limit internal/remote/push internal/remote/read internal/remote/wire oci ref",

	"internal/archive":          "fault internal/trouble",
	"internal/layout":           "event fault internal/trouble oci ref",
	"internal/ends":             "fault internal/archive internal/layout internal/ours internal/trouble oci ref",
	"internal/ends/fuzzed":      "", // fuzz tests
	"internal/registry":         "fault internal/registry/answer internal/registry/backing internal/registry/forward internal/registry/home internal/registry/index internal/registry/locks internal/registry/needs internal/registry/tend internal/registry/tree internal/registry/turns oci ref",
	"internal/registry/answer":  "internal/registry/backing internal/registry/tend",
	"internal/registry/tend":    "internal/registry/backing",
	"internal/registry/tree":    "internal/registry/tend",
	"internal/registry/locks":   "internal/registry/backing internal/registry/needs internal/registry/tend internal/registry/tree ref",
	"internal/registry/needs":   "",
	"internal/registry/index":   "fault internal/registry/backing internal/registry/home internal/registry/tend internal/registry/tree",
	"internal/registry/home":    "fault internal/registry/backing",
	"internal/registry/forward": "",
	"internal/registry/turns":   "",
	"internal/registry/backing": "fault",

	"internal/azure":                   "credential event fault internal/echo internal/ledger internal/remote/reason oci ref",
	"internal/name":                    "event fault plan ref",
	"internal/foreign":                 "fault internal/remote internal/transfer oci",
	"internal/place":                   "credential event fault gate internal/azure internal/ends internal/foreign internal/layout internal/ledger internal/name internal/remote internal/transfer oci plan ref report",
	"internal/kube":                    "ref",
	"internal/natural":                 "",
	"internal/latest":                  "internal/natural oci",
	"internal/letters":                 "",
	"internal/expression":              "internal/python",
	"internal/python":                  "",
	"internal/crew":                    "internal/place plan",
	"internal/trim":                    "fault internal/layout internal/ledger internal/place internal/transfer oci plan ref",
	"internal/nearest":                 "fault internal/name internal/place internal/remote oci ref",
	"internal/lock":                    "fault internal/place internal/remote oci plan ref",
	"internal/referrers":               "event fault internal/layout internal/ledger internal/place internal/transfer internal/trim oci plan ref",
	"internal/idle":                    "internal/name plan ref",
	"internal/survey/listing":          "oci plan ref",
	"internal/survey":                  "event fault internal/crew internal/layout internal/lock internal/name internal/nearest internal/place internal/referrers internal/remote internal/survey/listing internal/trim oci plan ref",
	"internal/survey/landing":          "fault internal/idle internal/layout internal/ledger internal/lock internal/nearest internal/place internal/referrers internal/remote internal/survey internal/survey/listing internal/trim oci plan ref",
	"internal/admit":                   "fault gate internal/place internal/referrers internal/trim oci plan ref",
	"internal/apply":                   "credential event fault gate internal/admit internal/azure internal/layout internal/ledger internal/name internal/place internal/referrers internal/remote internal/survey internal/transfer internal/trim oci plan ref report",
	"internal/prove":                   "fault internal/layout internal/place internal/referrers internal/transfer internal/trim oci plan ref report",
	"internal/migrate/total":           "event fault oci plan ref report",
	"internal/migrate":                 "credential event fault gate internal/admit internal/apply internal/crew internal/idle internal/layout internal/migrate/total internal/name internal/place internal/prove internal/referrers internal/remote internal/survey internal/survey/landing internal/survey/listing internal/trim oci plan ref report",
	"internal/estimate":                "credential event fault internal/crew internal/layout internal/place internal/referrers internal/survey internal/trim oci plan ref report",
	"internal/have":                    "fault oci ref",
	"internal/volume":                  "fault oci ref report",
	"internal/trouble":                 "fault",
	"internal/outfile":                 "",
	"internal/stock":                   "credential event fault internal/have internal/layout internal/name internal/place internal/referrers internal/remote oci plan ref report",
	"internal/bundle":                  "credential event fault gate internal/admit internal/apply internal/have internal/layout internal/ledger internal/migrate internal/name internal/outfile internal/place internal/referrers internal/shelf internal/survey internal/trouble internal/volume oci plan ref report",
	"internal/shelf":                   "fault internal/place internal/volume oci ref",
	"internal/probe":                   "credential event fault internal/admit internal/layout internal/lock internal/name internal/nearest internal/place internal/remote internal/survey oci plan ref report",
	"internal/look":                    "credential event fault internal/layout internal/name internal/nearest internal/place internal/referrers internal/remote internal/survey internal/trim oci plan ref report",
	".":                                "credential event fault gate internal/admit internal/apply internal/azure internal/bundle internal/ends internal/estimate internal/foreign internal/ledger internal/look internal/migrate internal/name internal/place internal/probe internal/referrers internal/remote internal/stock internal/survey internal/transfer oci plan ref report",
	"cmd/internal/config":              "cmd/internal/config/azure cmd/internal/config/gates cmd/internal/config/storing cmd/internal/config/textfile cmd/internal/pool cmd/internal/schedule credential fault plan ref",
	"cmd/internal/pool":                "cmd/internal/wire fault ref",
	"cmd/internal/config/settings":     "cmd/internal/config cmd/internal/config/gates oci plan",
	"cmd/internal/config/azure":        "credential fault ref",
	"cmd/internal/config/gates":        "plan",
	"cmd/internal/config/storing":      "fault",
	"cmd/internal/config/textfile":     "fault",
	"cmd/internal/gatekeeper":          "cmd/internal/config/gates cmd/internal/gatekeeper/evidence fault gate oci plan",
	"cmd/internal/gatekeeper/evidence": "oci",
	"cmd/internal/gatekeeper/verifier": "cmd/internal/gatekeeper/evidence oci",
	"cmd/internal/schedule":            "fault",
	"cmd/internal/mirror":              ". cmd/internal/config cmd/internal/schedule event fault gate internal/name internal/ours internal/place oci plan ref report",
	"cmd/internal/wire":                "cmd/internal/visible event fault",
	"cmd/internal/client":              "cmd/internal/wire credential event fault internal/echo plan",
	"cmd/internal/access":              "cmd/internal/access/kept cmd/internal/access/redact cmd/internal/store cmd/internal/wire credential fault internal/ours internal/outfile ref",
	"cmd/internal/store":               "fault",
	"cmd/internal/job":                 "cmd/internal/job/live cmd/internal/job/turn cmd/internal/schedule cmd/internal/store cmd/internal/wire fault",
	"cmd/internal/temporal":            "cmd/internal/job fault",
	"cmd/internal/verb":                ". cmd/internal/access cmd/internal/job cmd/internal/memory cmd/internal/pool cmd/internal/store cmd/internal/verb/share cmd/internal/verb/tally cmd/internal/wire credential event fault gate internal/name internal/place oci plan ref",
	"cmd/internal/api":                 "cmd/internal/access cmd/internal/job cmd/internal/memory cmd/internal/verb cmd/internal/visible cmd/internal/wire credential fault internal/name",
	"cmd/internal/acr":                 "cmd/internal/access cmd/internal/memory cmd/internal/wire fault internal/registry internal/registry/locks oci ref",
	"cmd/internal/relay":               "cmd/internal/access cmd/internal/acr cmd/internal/memory fault internal/registry/turns internal/remote oci ref",
	"cmd/internal/arm":                 "cmd/internal/access cmd/internal/acr cmd/internal/job cmd/internal/memory cmd/internal/verb cmd/internal/wire credential fault ref",
	"cmd/internal/server":              ". cmd/internal/access cmd/internal/access/egress cmd/internal/access/kept cmd/internal/api cmd/internal/arm cmd/internal/job cmd/internal/memory cmd/internal/pool cmd/internal/server/budget cmd/internal/server/certificate cmd/internal/server/door cmd/internal/server/gate cmd/internal/server/guest cmd/internal/server/measure cmd/internal/server/own cmd/internal/server/shared cmd/internal/server/watch cmd/internal/store cmd/internal/temporal cmd/internal/verb cmd/internal/wire credential fault gate internal/name internal/ours internal/place internal/registry internal/trouble ref cmd/internal/acr cmd/internal/server/azure",
	"cmd/internal/memory":              "fault",
	"cmd/internal/verb/share":          ". cmd/internal/job fault plan ref",
	"cmd/internal/verb/tally":          "cmd/internal/wire event",
	"cmd/internal/cli/query":           "",
	"cmd/internal/visible":             "",
	"cmd/internal/cli/out":             ". cmd/internal/cli/query cmd/internal/visible cmd/internal/wire event fault plan",
	"cmd/internal/cli/flag":            ". cmd/internal/cli/out cmd/internal/cli/query cmd/internal/config cmd/internal/config/textfile credential event fault oci plan ref",
	"cmd/internal/cli/app":             ". cmd/internal/cli/flag cmd/internal/cli/out cmd/internal/client cmd/internal/config cmd/internal/config/textfile cmd/internal/gatekeeper cmd/internal/visible cmd/internal/wire credential fault gate internal/name ref",
	"cmd/internal/cli/ask":             ". cmd/internal/cli/flag cmd/internal/client cmd/internal/config cmd/internal/mirror cmd/internal/wire credential event fault oci plan",
	"cmd/internal/cli/run":             ". cmd/internal/cli/app cmd/internal/cli/ask cmd/internal/cli/flag cmd/internal/cli/out cmd/internal/client cmd/internal/config cmd/internal/wire event fault internal/outfile internal/trouble plan ref report",
	"cmd/internal/cli/moving":          ". cmd/internal/cli/app cmd/internal/cli/ask cmd/internal/cli/flag cmd/internal/cli/out cmd/internal/cli/query cmd/internal/cli/run cmd/internal/client cmd/internal/config cmd/internal/config/textfile cmd/internal/wire credential event fault internal/outfile oci plan ref",
	"cmd/internal/cli/mirroring":       ". cmd/internal/cli/app cmd/internal/cli/flag cmd/internal/cli/out cmd/internal/config cmd/internal/mirror cmd/internal/schedule event fault gate plan ref report",
	"cmd/internal/cli/bundling":        ". cmd/internal/cli/app cmd/internal/cli/flag cmd/internal/cli/out cmd/internal/cli/run cmd/internal/config event fault plan",
	"cmd/internal/cli/looking":         ". cmd/internal/cli/app cmd/internal/cli/ask cmd/internal/cli/flag cmd/internal/cli/out cmd/internal/cli/query cmd/internal/cli/run cmd/internal/client cmd/internal/wire credential event fault oci plan",
	"cmd/internal/cli/jobs":            "cmd/internal/cli/app cmd/internal/cli/ask cmd/internal/cli/flag cmd/internal/cli/out cmd/internal/cli/run cmd/internal/client cmd/internal/config cmd/internal/pool cmd/internal/wire fault plan",
	"cmd/internal/cli/serve":           ". cmd/internal/cli/app cmd/internal/cli/ask cmd/internal/cli/flag cmd/internal/cli/out cmd/internal/client cmd/internal/config cmd/internal/config/textfile cmd/internal/pool cmd/internal/wire credential event fault plan",
	"cmd/internal/cli/setup":           "cmd/internal/cli/app cmd/internal/cli/flag cmd/internal/cli/out cmd/internal/config cmd/internal/config/settings credential fault ref",
	"cmd/internal/cli/foreign":         "ref",
	"cmd/internal/cli":                 "cmd/internal/cli/app cmd/internal/cli/bundling cmd/internal/cli/flag cmd/internal/cli/foreign cmd/internal/cli/jobs cmd/internal/cli/looking cmd/internal/cli/mirroring cmd/internal/cli/moving cmd/internal/cli/out cmd/internal/cli/serve cmd/internal/cli/setup fault",
	"cmd/internal/cli/serving":         "cmd/internal/access cmd/internal/cli/app cmd/internal/config cmd/internal/config/storing cmd/internal/config/textfile cmd/internal/server cmd/internal/wire credential internal/registry",
	"cmd/internal/program":             "cmd/internal/cli/app fault",
	"cmd/dray":                         "cmd/internal/cli cmd/internal/program",
	"cmd/drayd":                        "cmd/internal/cli cmd/internal/cli/serving cmd/internal/gatekeeper/evidence cmd/internal/gatekeeper/verifier cmd/internal/program",

	"internal/testbed/canary":   "",
	"internal/testbed/beside":   "internal/testbed",
	"internal/testbed/calls":    "",
	"internal/testbed/disk":     "",
	"internal/testbed/hollow":   "internal/testbed",
	"internal/testbed/limits":   "",
	"internal/testbed/database": "",
	"internal/testbed/catalog":  "",
	"internal/testbed/tools":    "",
	"internal/testbed/tricks":   "",
	"internal/testbed/temporal": "",

	// The packages below job and server.
	"cmd/internal/job/live":           "fault cmd/internal/wire",
	"cmd/internal/job/turn":           "",
	"cmd/internal/job/suite":          "fault cmd/internal/job cmd/internal/store",
	"cmd/internal/access/redact":      "",
	"cmd/internal/access/kept":        "cmd/internal/wire fault internal/trouble",
	"cmd/internal/access/egress":      "cmd/internal/wire fault",
	"cmd/internal/server/certificate": "cmd/internal/access fault",
	"cmd/internal/server/door":        "",
	"cmd/internal/server/guest":       "fault",
	"cmd/internal/server/measure":     "cmd/internal/job cmd/internal/memory cmd/internal/pool cmd/internal/store cmd/internal/wire event fault internal/registry",
	"internal/testbed/stores":         "internal/testbed/canary",
	"internal/testbed/canary/suite":   "internal/testbed/canary",
	"cmd/internal/server/shared":      "fault cmd/internal/store",
	"cmd/internal/server/own":         "fault cmd/internal/job cmd/internal/pool internal/outfile internal/trouble",
	"cmd/internal/server/watch":       "fault",
	"cmd/internal/server/budget":      ". cmd/internal/job cmd/internal/server/measure fault internal/place",
	"cmd/internal/server/azure":       ". cmd/internal/access cmd/internal/acr cmd/internal/arm cmd/internal/relay cmd/internal/server/door cmd/internal/server/gate cmd/internal/store credential internal/place internal/registry internal/remote",
	"cmd/internal/server/gate":        "fault cmd/internal/access cmd/internal/acr cmd/internal/memory cmd/internal/server/measure cmd/internal/store internal/registry oci ref",

	"bench":                  "internal/registry", // measures the program from outside, and our registry as one of several
	"packaging/mkimage":      "internal/layout oci packaging/parts ref",
	"packaging/parts":        "",
	"internal/conform":       "fault oci ref internal/transfer",
	"internal/testbed":       "internal/testbed/canary",
	"internal/hostile":       "internal/testbed",
	"internal/archtest":      "",
	"internal/yard":          ". fault internal/testbed internal/testbed/beside plan",
	"internal/hostile/storm": ". credential fault internal/hostile internal/testbed ref",

	// It draws worlds and does the work of the library in them, so it imports what yard does.
	"internal/hostile/world": ". credential fault internal/hostile internal/testbed oci plan ref",
}

// everywhere lists what every package may import: the command lines that messages show are made in one place.
var everywhere = []string{"internal/shell"}

// never lists standard packages that a package must not import.
var never = map[string][]string{
	"plan":                {"os", "net", "net/http", "io/fs"}, // time for values only: a test of plan checks that it does not read the clock; context only to end loops
	"ref":                 {"os", "net/http", "context"},
	"oci":                 {"os", "net/http"},
	"internal/transfer":   {"os", "net/http", "flag"},
	"fault":               {"os", "net/http"},
	"report":              {"os", "net", "net/http", "context"},
	"gate":                {"os", "net", "net/http"},
	"internal/name":       {"os", "net/http", "context"},
	"internal/natural":    {"os", "net", "net/http", "context"},
	"internal/latest":     {"os", "net", "net/http", "context"},
	"internal/room":       {"os", "net", "net/http"},
	"internal/echo":       {"os", "net", "context"},
	"internal/letters":    {"os", "net", "net/http", "context"},
	"internal/kube":       {"os", "net", "net/http", "context"},
	"internal/expression": {"os", "net", "net/http", "context"},
	"internal/ledger":     {"net", "net/http"},

	"internal/remote/limit":   {"net", "os"},
	"internal/remote/product": {"net", "os", "context"},
	"internal/remote/reason":  {"net", "os", "context"},
	"internal/remote/signin":  {"net", "os"},
	"internal/remote/ask":     {"net", "os"},
	"internal/remote/read":    {"net", "os"},
	"internal/remote/list":    {"net", "os"},
	"internal/remote/feed":    {"net", "net/http", "os"},
	"internal/remote/push":    {"net", "os"},
	"internal/remote/subject": {"net", "net/http", "os"},
}

// unlinked lists what a program that uses package dray must not link.
var unlinked = []string{
	module + "/internal/registry", "github.com/distribution/distribution", "github.com/spf13/cobra", "github.com/vbauerster/mpb",
	"github.com/sirupsen/logrus", "log/slog", "database/sql", "google.golang.org/grpc", "github.com/sigstore", "github.com/notaryproject",
	"go.temporal.io",
}

// serving lists what a server and the verifier of signatures consist of: drayd links it, and dray must not, so that it starts
// quickly.
var serving = []string{
	module + "/internal/registry", "github.com/distribution/distribution", "github.com/danielgtaylor/huma", "database/sql", "modernc.org",
	"github.com/jackc/pgx", "github.com/prometheus", "google.golang.org/grpc", "google.golang.org/protobuf", "go.opentelemetry.io", "go.temporal.io",
	module + "/cmd/internal/access", module + "/cmd/internal/store", module + "/cmd/internal/job", module + "/cmd/internal/memory", module + "/cmd/internal/verb",
	module + "/cmd/internal/api", module + "/cmd/internal/arm", module + "/cmd/internal/server",
	module + "/cmd/internal/temporal", module + "/cmd/internal/gatekeeper/verifier", "github.com/sigstore", "github.com/notaryproject",
}

type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	Deps       []string
	GoFiles    []string
}

func listed(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,Deps,GoFiles", module+"/...")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &said)
	}
	var list []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestEveryPackageImportsOnlyWhatItsRoomAllows(t *testing.T) {
	for _, p := range listed(t) {
		name := room(p.ImportPath)
		allowed, known := may[name]
		if !known {
			t.Errorf("package %s is not in the table may", name)
			continue
		}
		for _, imp := range p.Imports {
			if slices.Contains(never[name], imp) {
				t.Errorf("%s imports %q, which the table never forbids", name, imp)
			}
			if strings.HasPrefix(imp, module) && !slices.Contains(append(strings.Fields(allowed), everywhere...), room(imp)) {
				t.Errorf("%s imports %s; it may import: %s", name, room(imp), allowed)
			}
		}
	}
}

func TestTheLibraryLinksNoRegistryNoDatabaseNoCommandLineAndNoLogger(t *testing.T) {
	for _, p := range listed(t) {
		if p.ImportPath != module {
			continue
		}
		for _, dep := range p.Deps {
			for _, bad := range unlinked {
				// The secret type refers to log/slog to hide its value there, which is the only
				// use. database/sql/driver has only an interface, which a type of version numbers
				// implements.
				if strings.HasPrefix(dep, bad) && dep != "database/sql/driver" && dep != "log/slog" && !strings.HasPrefix(dep, "log/slog/") {
					t.Errorf("package dray links %s", dep)
				}
			}
		}
		return
	}
	t.Fatal("package dray was not found")
}

func TestTheSmallProgramLinksNothingOfAServer(t *testing.T) {
	linked := map[string]bool{} // by drayd, to make sure that the names in serving are right
	for _, p := range listed(t) {
		for _, dep := range p.Deps {
			for _, bad := range serving {
				if dep != bad && !strings.HasPrefix(dep, bad+"/") || dep == "database/sql/driver" {
					continue
				}
				switch room(p.ImportPath) {
				case "cmd/dray":
					t.Errorf("dray links %s", dep)
				case "cmd/drayd":
					linked[bad] = true
				}
			}
		}
	}
	for _, bad := range serving {
		if !linked[bad] {
			t.Errorf("drayd does not link %s: correct the list serving", bad)
		}
	}
}

// The release image has no time zone database, but schedules use time zones.
func TestBothProgramsCarryTheTimeZones(t *testing.T) {
	for _, p := range listed(t) {
		if name := room(p.ImportPath); (name == "cmd/dray" || name == "cmd/drayd") && !slices.Contains(p.Deps, "time/tzdata") {
			t.Errorf("%s does not link time/tzdata", name)
		}
	}
}

func TestOnlyTheSecretTypeKnowsTheLoggerInTheLibrary(t *testing.T) {
	for _, p := range listed(t) {
		if r := room(p.ImportPath); !strings.HasPrefix(r, "cmd/") && r != "credential" && !strings.HasPrefix(r, "internal/registry") && r != "internal/testbed" && r != "bench" && (slices.Contains(p.Imports, "log/slog") || slices.Contains(p.Imports, "log")) {
			t.Errorf("%s logs, but a library reports events to its observer", room(p.ImportPath))
		}
	}
}

const (
	maxFile     = 500 // lines
	maxFunction = 80  // lines; the rule is 60, and this is the limit of the test
)

func TestFilesAndFunctionsFitTheirBounds(t *testing.T) {
	for _, p := range listed(t) {
		for _, file := range p.GoFiles {
			path := filepath.Join(p.Dir, file)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(raw, []byte("\n")); n > maxFile {
				t.Errorf("%s/%s has %d lines; the limit is %d", room(p.ImportPath), file, n, maxFile)
			}
			checkSyntax(t, room(p.ImportPath)+"/"+file, raw)
		}
	}
}

func checkSyntax(t *testing.T, name string, raw []byte) {
	t.Helper()
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range tree.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if lines := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; lines > maxFunction {
			t.Errorf("%s: %s has %d lines; the limit is %d", name, f.Name.Name, lines, maxFunction)
		}
		if f.Name.Name == "init" && f.Recv == nil {
			t.Errorf("%s has an init function", name)
		}
	}
}

// Regular expressions that are compiled at the start take about a millisecond of each command, all
// together.
func TestNoExpressionOfTheProgramsIsCompiledBeforeItIsUsed(t *testing.T) {
	all := listed(t)
	at := slices.IndexFunc(all, func(p pkg) bool { return room(p.ImportPath) == "cmd/drayd" })
	for _, p := range all {
		if !slices.Contains(all[at].Deps, p.ImportPath) { // drayd links everything that dray links
			continue
		}
		for _, file := range p.GoFiles {
			tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range compiledAtStart(tree) {
				t.Errorf("%s/%s: %s is compiled when the program starts; use sync.OnceValue to defer it", room(p.ImportPath), file, name)
			}
		}
	}
}

// compiledAtStart returns the variables whose values call regexp.MustCompile outside of a function.
func compiledAtStart(tree *ast.File) (names []string) {
	for _, decl := range tree.Decls {
		vars, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range vars.Specs {
			ast.Inspect(spec, func(n ast.Node) bool {
				if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "MustCompile" {
					names = append(names, spec.(*ast.ValueSpec).Names[0].Name)
				}
				_, function := n.(*ast.FuncLit)
				return !function
			})
		}
	}
	return names
}

// Every fault in the catalog that this code can meet names its test.
func TestEveryFaultThatTheCatalogClaimsHasATest(t *testing.T) {
	rowsHaveTests(t, "faults.md", "F-", 50)
}

func TestEveryLimitNamesItsTests(t *testing.T) { rowsHaveTests(t, "limits.md", "L-", 35) }

// rowsHaveTests checks that the rows of a page whose names begin with prefix name at least so many tests, and that all
// of them exist.
func rowsHaveTests(t *testing.T, page, prefix string, least int) {
	t.Helper()
	root := filepath.Join("..", "..")
	raw, err := os.ReadFile(filepath.Join(root, "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t, root)
	claims := 0
	for line := range strings.SplitSeq(string(raw), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), prefix) {
			continue
		}
		for _, test := range strings.FieldsFunc(cells[len(cells)-2], func(r rune) bool { return strings.ContainsRune("`, ", r) }) {
			claims++
			if !tests[test] {
				t.Errorf("%s names %s, but there is no such test", strings.TrimSpace(cells[1]), test)
			}
		}
	}
	if claims < least {
		t.Errorf("the catalog names only %d tests: it was shortened, or its format changed", claims)
	}
}

// Every promise names its tests.
func TestEveryPromiseHasATest(t *testing.T) {
	root := filepath.Join("..", "..")
	raw, err := os.ReadFile(filepath.Join(root, "docs", "promises.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t, root)
	promises := 0
	for line := range strings.SplitSeq(string(raw), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(cells[1], " promise") || strings.HasPrefix(cells[1], "---") {
			continue
		}
		promises++
		named := strings.FieldsFunc(cells[2], func(r rune) bool { return strings.ContainsRune("`, ", r) })
		if len(named) == 0 {
			t.Errorf("no test shows that %s", strings.TrimSpace(cells[1]))
		}
		for _, test := range named {
			if !tests[test] {
				t.Errorf("%s names %s, but there is no such test", strings.TrimSpace(cells[1]), test)
			}
		}
	}
	if promises < 25 {
		t.Errorf("the page has only %d promises: it was shortened, or its format changed", promises)
	}
}

func testNames(t *testing.T, root string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range tree.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func room(path string) string {
	if r := strings.TrimPrefix(strings.TrimPrefix(path, module), "/"); r != "" {
		return r
	}
	return "."
}
