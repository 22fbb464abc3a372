package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A fuzz target that begins with nothing finds little in a minute.
func TestEveryFuzzTargetHasSeeds(t *testing.T) {
	root := filepath.Join("..", "..")
	targets := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range tree.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Fuzz") {
				continue
			}
			targets++
			corpus, err := filepath.Glob(filepath.Join(filepath.Dir(path), "testdata", "fuzz", f.Name.Name, "*"))
			if err != nil {
				return err
			}
			if len(corpus) == 0 && !addsSeeds(f) {
				t.Errorf("%s: %s has neither seeds nor a corpus", path, f.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if targets < 40 {
		t.Errorf("only %d fuzz targets are left", targets)
	}
}

// addsSeeds reports whether a fuzz target calls Add of its parameter.
func addsSeeds(f *ast.FuncDecl) bool {
	name := f.Type.Params.List[0].Names[0].Name
	found := false
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Add" {
			x, ok := s.X.(*ast.Ident)
			found = found || ok && x.Name == name
		}
		return true
	})
	return found
}
