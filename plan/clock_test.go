package plan

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Callers pass times to this package. It may compare and print them, but it must never read the clock.
func TestThePackageNeverReadsTheClock(t *testing.T) {
	uses(t, "time", "Time", "Duration", "Month", "ParseDuration", "Parse", "RFC3339", "DateOnly", "UTC",
		"Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour")
}

// A context ends a loop over names of others. It carries nothing else, so that equal arguments give equal results.
func TestThePackageTakesFromAContextOnlyThatItHasEnded(t *testing.T) {
	uses(t, "context", "Context", "Cause")
	uses(t, "ctx", "Err")
}

// uses checks that the package selects only these values of what name stands for.
func uses(t *testing.T, name string, values ...string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range tree.Imports {
			if imp.Path.Value == strconv.Quote(name) && imp.Name != nil {
				t.Errorf("%s imports %s under another name", file, name)
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == name {
				seen++
				if !slices.Contains(values, sel.Sel.Name) {
					t.Errorf("%s uses %s.%s", file, name, sel.Sel.Name)
				}
			}
			return true
		})
	}
	if seen == 0 {
		t.Errorf("no use of %s was found: this test looks at nothing", name)
	}
}
