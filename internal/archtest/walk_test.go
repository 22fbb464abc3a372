package archtest

import (
	"fmt"
	"go/ast"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const (
	maxRootFiles = 15   // files of package dray without tests
	maxFiles     = 15   // files of a package
	maxLines     = 2500 // lines of a package
)

// large lists packages that have more than maxFiles files or maxLines lines, with the reason.
var large = map[string]string{
	"credential":        "the token exchange of each cloud is one or two files; as separate packages they would either be public too, or not usable to build a Chain",
	"cmd/internal/job":  "the rows of jobs, parts and schedules, and the engine of one process: all of them change rows in the transactions of a Queue, which a second package would have to be shown",
	"cmd/internal/verb": "one run of a job is one state, which each verb, a part of it and the sum of the parts share; the forms of requests could move out",
	"bench":             "one program with the workloads, the registries and the peers; nothing imports it",
}

// up lists references from a file to one that doc.go names earlier, as "package from.go to.go",
// with the reason. The library may have at most maxUp of them.
var up = map[string]string{}

const maxUp = 10

// walks loads all packages of the module that have code, with their types. Their imports are
// compiled with the same flags as this test.
func walks(t *testing.T) []*packages.Package {
	t.Helper()
	var flags []string
	if underRace {
		flags = append(flags, "-race")
	}
	all, err := packages.Load(&packages.Config{Dir: filepath.Join("..", ".."), BuildFlags: flags, Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports |
		packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedExportFile}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		for _, e := range p.Errors {
			t.Fatal(e)
		}
	}
	return slices.DeleteFunc(all, func(p *packages.Package) bool { return len(p.Syntax) == 0 })
}

func file(p *packages.Package, n ast.Node) string {
	return filepath.Base(p.Fset.Position(n.Pos()).Filename)
}

func TestPackagesStaySmall(t *testing.T) {
	for _, p := range walks(t) {
		name, files, lines := room(p.PkgPath), 0, 0
		for _, f := range p.Syntax {
			if file(p, f) != "doc.go" {
				files++
				lines += p.Fset.Position(f.FileEnd).Line
			}
		}
		if name == "." && files > maxRootFiles {
			t.Errorf("package dray has %d files; the limit is %d", files, maxRootFiles)
		}
		_, excused := large[name]
		if over := files > maxFiles || lines > maxLines; over != excused {
			t.Errorf("%s has %d files and %d lines; the limits are %d and %d; correct the package or the table large", name, files, lines, maxFiles, maxLines)
		}
	}
}

func TestFilesUseFilesThatComeLaterInTheWalk(t *testing.T) {
	used := map[string]bool{}
	for _, p := range walks(t) {
		name := room(p.PkgPath)
		if len(p.Syntax) == 1 || strings.HasPrefix(name, "bench") {
			continue
		}
		order := walk(p)
		for _, f := range p.Syntax {
			if n := file(p, f); n != "doc.go" && !slices.Contains(order, n) {
				t.Errorf("%s: doc.go does not list %s", name, n)
			}
		}
		for ref, names := range climbs(p, order) {
			key := name + " " + ref
			if used[key] = true; up[key] == "" {
				t.Errorf("%s: refers to a file that doc.go lists earlier, and is not in the table up: %s", key, strings.Join(slices.Sorted(maps.Keys(names)), " "))
			}
		}
	}
	excused := 0
	for key := range up {
		if !used[key] {
			t.Errorf("%s: is in the table up, but there is no such reference", key)
		}
		if !strings.HasPrefix(key, "cmd/") {
			excused++
		}
	}
	if excused > maxUp {
		t.Errorf("the table up has %d references of the library; the limit is %d", excused, maxUp)
	}
}

// walk returns the order of files in doc.go: the lines of its package comment that begin with the
// name of a file.
func walk(p *packages.Package) (order []string) {
	for _, f := range p.Syntax {
		if file(p, f) != "doc.go" || f.Doc == nil {
			continue
		}
		for line := range strings.Lines(f.Doc.Text()) {
			if words := strings.Fields(line); len(words) > 0 && strings.HasSuffix(words[0], ".go") {
				order = append(order, words[0])
			}
		}
	}
	return order
}

// climbs returns what files use of files that doc.go lists earlier, by "from.go to.go": functions,
// types, constants, variables, methods and fields.
func climbs(p *packages.Package, order []string) map[string]map[string]bool {
	found := map[string]map[string]bool{}
	for _, f := range p.Syntax {
		from := file(p, f)
		ast.Inspect(f, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			obj := p.TypesInfo.Uses[id]
			if obj == nil || obj.Pkg() != p.Types || !wide(obj, p.Types) {
				return true
			}
			to := filepath.Base(p.Fset.Position(obj.Pos()).Filename)
			if slices.Index(order, to) < slices.Index(order, from) {
				key := fmt.Sprintf("%s %s", from, to)
				if found[key] == nil {
					found[key] = map[string]bool{}
				}
				found[key][obj.Name()] = true
			}
			return true
		})
	}
	return found
}

// wide reports whether an object is visible in the whole package, so it is not local to a function.
func wide(obj types.Object, in *types.Package) bool {
	switch o := obj.(type) {
	case *types.Var:
		return o.IsField() || o.Parent() == in.Scope()
	case *types.Func:
		return true
	}
	return obj.Parent() == in.Scope()
}
