package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// printers lists files of the command line that may write as they like, with the reason.
var printers = map[string]string{
	"help.go": "prints the help, which has no values of others",
	"man.go":  "prints manual pages, which have no values of others",
}

// Values of others reach a terminal only by package out, which escapes them as they enter a line.
func TestTheRoomsOfTheCommandLinePrintByPackageOut(t *testing.T) {
	root := filepath.Join("..", "..", "cmd", "internal", "cli")
	files := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if room := filepath.Dir(name); room == "out" || room == "query" || printers[name] != "" {
			return nil
		}
		files++
		raw, err := os.ReadFile(path)
		if err == nil {
			for _, what := range printing(t, name, raw) {
				t.Errorf("%s: use the methods of out.Console, or out.Sprintf", what)
			}
		}
		return err
	})
	if err != nil || files < 50 {
		t.Errorf("%d files: %v", files, err)
	}
}

func TestWhatPrintsPastPackageOutIsFound(t *testing.T) {
	for _, line := range []string{
		`fmt.Fprintln(a.Out, name)`, `fmt.Printf("%s", name)`, `io.WriteString(a.Err, name)`, `a.Out.Write(raw)`,
		`a.IO.Err.Write(raw)`, `os.Stdout.WriteString(name)`, `tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)`, `println(name)`,
	} {
		if found := printing(t, "a.go", []byte("package a\nfunc f() { "+line+" }\n")); len(found) != 1 {
			t.Errorf("%s: %q", line, found)
		}
	}
}

// printing returns where a file prints past package out.
func printing(t *testing.T, name string, raw []byte) (found []string) {
	t.Helper()
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if bare, ok := call.Fun.(*ast.Ident); ok && (bare.Name == "println" || bare.Name == "print") {
			found = append(found, set.Position(n.Pos()).String()+": "+bare.Name)
		}
		if f, ok := call.Fun.(*ast.SelectorExpr); ok && printsBy(f) {
			found = append(found, set.Position(n.Pos()).String()+": "+f.Sel.Name)
		}
		return true
	})
	return found
}

func printsBy(f *ast.SelectorExpr) bool {
	switch of := f.X.(type) {
	case *ast.Ident:
		all := map[string][]string{
			"fmt": {"Fprint", "Fprintf", "Fprintln", "Print", "Printf", "Println"}, "io": {"WriteString"}, "tabwriter": {"NewWriter"},
		}
		return slices.Contains(all[of.Name], f.Sel.Name)
	case *ast.SelectorExpr:
		stream := slices.Contains([]string{"Out", "Err", "Stdout", "Stderr"}, of.Sel.Name)
		return stream && strings.HasPrefix(f.Sel.Name, "Write")
	}
	return false
}
