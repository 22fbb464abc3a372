package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"

	source "golang.org/x/tools/go/packages"
)

// The test type-checks both programs and everything that they import on every platform that dray is
// built for, except that of this machine, for which another test builds the image. This is quick. "make cross"
// proves that the programs also compile and link.
func TestTheProgramsHaveTypesOnEveryPlatform(t *testing.T) {
	if underRace || testing.Short() {
		t.Skip("reads about 700 packages for each platform: make check runs it without the race detector")
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"} {
		if platform == runtime.GOOS+"/"+runtime.GOARCH {
			continue
		}
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
				t.Errorf("only %d packages were read", len(all))
			}
		})
	}
}

// Tests that use less data under the race detector run with all data in "make whole". The Makefile
// must name each of these tests.
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
					t.Errorf("%s of %s uses less data under the race detector, but make whole does not run it", test, room(p.ImportPath))
				}
			}
		}
	}
	if small < 4 {
		t.Errorf("only %d tests use yard.Small: it was renamed, or this test looks in the wrong place", small)
	}
}

// smallTests returns the tests of a file that call yard.Small.
func smallTests(t *testing.T, file string) (names []string) {
	t.Helper()
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
