package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	source "golang.org/x/tools/go/packages"
)

// All lines of both programs and of all that they import are right for the compiler's eye on every
// platform that we build for, but linux, for which the tests build images. That is quick; that machine
// code comes of it and links, make cross proves.
func TestTheProgramsHaveTypesOnEveryPlatform(t *testing.T) {
	if underRace || testing.Short() {
		t.Skip("reads some seven hundred packages for each platform: make check runs it without the detector")
	}
	for _, platform := range []string{"darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"} {
		t.Run(platform, func(t *testing.T) {
			goos, goarch, _ := strings.Cut(platform, "/")
			env := append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
			list := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"/cmd/dray", module+"/cmd/drayd")
			list.Env, list.Stderr = env, os.Stderr
			out, err := list.Output()
			if err != nil {
				t.Fatal(err)
			}
			all, err := source.Load(&source.Config{Mode: source.LoadAllSyntax, Env: env, Context: t.Context()}, strings.Fields(string(out))...)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range all {
				for _, e := range p.Errors {
					t.Error(e)
				}
			}
			if len(all) < 500 {
				t.Errorf("%d packages were read: that is not all of them", len(all))
			}
		})
	}
}

// What is small under the race detector is whole in make whole: its line of the Makefile names the test.
func TestWhatIsSmallUnderTheRaceDetectorIsRunWhole(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string][]string{}
	for line := range strings.Lines(string(makefile)) {
		if name, value, ok := strings.Cut(line, ":="); ok {
			whole[strings.TrimSpace(name)] = strings.FieldsFunc(value, func(r rune) bool { return r == '|' || unicode.IsSpace(r) })
		}
	}
	small := 0
	for _, p := range listed(t) {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for _, test := range smallTests(t, file) {
				small++
				named := slices.ContainsFunc(whole["WHOLE"], func(prefix string) bool { return strings.HasPrefix(test, prefix) })
				if !named || !slices.Contains(whole["WHOLE_PACKAGES"], "./"+room(p.ImportPath)) {
					t.Errorf("%s of %s is small under the race detector, and make whole does not run it", test, room(p.ImportPath))
				}
			}
		}
	}
	if small < 4 {
		t.Errorf("%d tests are small: yard.Small has another name, or this looks at the wrong place", small)
	}
}

// smallTests names the tests of a file that ask whether they are to be small.
func smallTests(t *testing.T, file string) (names []string) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range tree.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if ok && s.Sel.Name == "Small" {
				names = append(names, f.Name.Name)
			}
			return true
		})
	}
	return names
}
