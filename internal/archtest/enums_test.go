package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// notPublic are the first components of packages that a program outside of this module cannot import,
// or has no reason to import.
var notPublic = []string{"bench", "cmd", "internal", "packaging"}

// go doc prints only the first constant of a group. The comment of the type must therefore name all
// constants, with doc links.
func TestTheCommentOfAnEnumerationNamesAllItsConstants(t *testing.T) {
	found := 0
	for _, name := range slices.Sorted(maps.Keys(may)) {
		if first, _, _ := strings.Cut(name, "/"); slices.Contains(notPublic, first) {
			continue
		}
		for _, e := range enumerations(t, filepath.Join("..", "..", name)) {
			found++
			for _, c := range e.constants {
				if !strings.Contains(e.doc, "["+c.name+"]") {
					t.Errorf("%s: the comment of type %s does not name [%s]", name, e.name, c.name)
				}
				if c.doc == "" {
					t.Errorf("%s: the constant %s has no comment", name, c.name)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d enumerations were found: this test does not look at all packages", found)
	}
}

// enumeration is an exported type, based on string or int, that has at least two exported constants.
type enumeration struct {
	name, doc string
	constants []constant
}

type constant struct{ name, doc string }

// enumerations parses the Go files in dir that are not tests.
func enumerations(t *testing.T, dir string) (found []enumeration) {
	t.Helper()
	docs := map[string]string{}          // by type
	constants := map[string][]constant{} // by type
	for _, group := range declarations(t, dir) {
		of := "" // in a group with iota, a constant without a type and a value has the type of the one before
		for _, spec := range group.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if countable(s) {
					docs[s.Name.Name] = group.Doc.Text() + s.Doc.Text()
				}
			case *ast.ValueSpec:
				if typed, ok := s.Type.(*ast.Ident); ok {
					of = typed.Name
				} else if len(s.Values) > 0 {
					of = ""
				}
				for _, n := range s.Names {
					if group.Tok == token.CONST && n.IsExported() {
						constants[of] = append(constants[of], constant{n.Name, s.Doc.Text() + s.Comment.Text()})
					}
				}
			}
		}
	}
	for name, doc := range docs {
		if len(constants[name]) > 1 {
			found = append(found, enumeration{name, doc, constants[name]})
		}
	}
	return found
}

// countable reports whether s declares an exported type that is based on string or int.
func countable(s *ast.TypeSpec) bool {
	base, ok := s.Type.(*ast.Ident)
	return ok && !s.Assign.IsValid() && s.Name.IsExported() && (base.Name == "string" || base.Name == "int")
}

// declarations returns the declarations of types, constants and variables in dir.
func declarations(t *testing.T, dir string) (groups []*ast.GenDecl) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no Go files: %v", dir, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range tree.Decls {
			if group, ok := decl.(*ast.GenDecl); ok {
				groups = append(groups, group)
			}
		}
	}
	return groups
}
