package plan

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Callers pass times to this package. It may compare and print them, but it must never read the clock.
func TestThePackageNeverReadsTheClock(t *testing.T) {
	values := []string{"Time", "Duration", "Month", "ParseDuration", "Parse", "RFC3339", "DateOnly", "UTC",
		"Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"}
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
			if imp.Path.Value == `"time"` && imp.Name != nil {
				t.Errorf("%s imports time under another name", file)
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				seen++
				if !slices.Contains(values, sel.Sel.Name) {
					t.Errorf("%s uses time.%s", file, sel.Sel.Name)
				}
			}
			return true
		})
	}
	if seen == 0 {
		t.Error("no use of package time was found: this test looks at nothing")
	}
}
