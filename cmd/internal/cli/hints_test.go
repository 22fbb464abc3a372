package cli

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
)

// sourcesOfDray calls visit with each file of dray that is not a test, and that a user's program is made of. It does not
// read the root of the repository itself: go test would run all tests of this package again whenever a tool or a
// program is built there.
func sourcesOfDray(t *testing.T, visit func(path string, set *token.FileSet, file *ast.File)) {
	t.Helper()
	root := filepath.Join("..", "..", "..")
	list := exec.CommandContext(t.Context(), "go", "list", "-find", "-f",
		`{{range .GoFiles}}{{$.ImportPath}}/{{.}}{{"\n"}}{{end}}{{range .IgnoredGoFiles}}{{$.ImportPath}}/{{.}}{{"\n"}}{{end}}`, "./...")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name := range strings.FieldsSeq(string(names)) {
		rel := strings.TrimPrefix(name, "github.com/drayage/dray/")
		if strings.HasSuffix(rel, "_test.go") || slices.ContainsFunc(notOfDray, func(dir string) bool { return strings.HasPrefix(rel, dir+"/") }) {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join(root, filepath.FromSlash(rel)), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		n++
		visit(rel, set, file)
	}
	if n < 100 {
		t.Fatalf("%d files read", n)
	}
}

// notOfDray are the directories of what tests and releases need.
var notOfDray = []string{"internal/testbed", "internal/hostile", "internal/yard", "internal/conform", "internal/archtest", "bench", "packaging"}

// helpTexts returns everything that the help pages consist of.
func helpTexts() (all []string) {
	everyCommand(func(cmd *cobra.Command) {
		all = append(all, cmd.Use, cmd.Short, cmd.Long, cmd.Example)
		cmd.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, f.Usage) })
		cmd.PersistentFlags().VisitAll(func(f *pflag.Flag) { all = append(all, f.Usage) })
	})
	for _, e := range out.ExitMeanings {
		all = append(all, e.Meaning)
	}
	drayd := &cobra.Command{}
	asDrayd(drayd, noEnv)
	return append(all, drayd.Short, drayd.Long, drayd.Example, " \"dray man COMMAND\" prints its manual page.")
}

// printedCommand matches what reads as a command line of dray.
func printedCommand() *regexp.Regexp {
	var names []string
	for _, h := range headings() {
		for _, m := range h.commands {
			names = append(names, m.name)
		}
	}
	return regexp.MustCompile(`\bdrayd? (?:` + strings.Join(names, "|") + `|%s|…)(?:[^a-z]|$)`)
}

// A command line in a message is made by package shell: so it is quoted, and the next test finds it.
func TestNoMessageSpellsACommandOfDrayByHand(t *testing.T) {
	command, help := printedCommand(), strings.Join(helpTexts(), "\x00")
	// These end up in no message: the version, and what planned makes of the help of a verb.
	known := []string{"dray %s (%s, %s/%s)\n", ".TH %q 1 \"\" \"dray %s\"\n"}
	sourcesOfDray(t, func(path string, set *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err == nil && command.MatchString(text) && !strings.Contains(help, text) && !slices.Contains(known, text) {
				t.Errorf("%s:%d: %q: make the command with shell.Dray, or with Next of package app", path, set.Position(lit.Pos()).Line, text)
			}
			return true
		})
	})
}

// lineMakers are the functions whose arguments are the words of a command line of dray.
var lineMakers = []string{"shell.Dray", "a.Next", "a.NextAt"}

// wordsOf are the values of expressions that stand for the name of a command in a line.
var wordsOf = map[string][]string{
	`what + "s"`:          {"jobs", "schedules"},
	"what":                {"token", "secret"},
	"cmd.Parent().Name()": {"jobs", "schedules"},
}

// Each command in a message is run through the parser, with a name in place of what is known at run time only. Lines
// whose words are a slice are made from what the user typed; the script hints.txtar runs those.
func TestEveryCommandInAMessageIsOneThatDrayHas(t *testing.T) {
	n := 0
	sourcesOfDray(t, func(path string, set *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok || !slices.Contains(lineMakers, exprText(call.Fun)) || call.Ellipsis.IsValid() {
				return true
			}
			lines := [][]string{nil}
			for _, arg := range call.Args {
				values := []string{"localhost:1/x:v1"}
				if lit, ok := arg.(*ast.BasicLit); ok {
					values[0], _ = strconv.Unquote(lit.Value)
				} else if known := wordsOf[exprText(arg)]; known != nil {
					values = known
				}
				var longer [][]string
				for _, l := range lines {
					for _, v := range values {
						longer = append(longer, append(slices.Clone(l), v))
					}
				}
				lines = longer
			}
			for _, words := range lines {
				n++
				if err := parses(words); err != nil {
					t.Errorf("%s:%d: dray %s: %v", path, set.Position(call.Pos()).Line, strings.Join(words, " "), err)
				}
			}
			return true
		})
	})
	if n < 20 {
		t.Errorf("only %d command lines found", n)
	}
}

// parses runs words through the parser of the command that they name, but not the command.
func parses(words []string) error {
	root := newRoot(&app.App{}, nil)
	cmd, rest, err := root.Find(words)
	switch {
	case err != nil:
		return err
	case cmd == root:
		return errors.New("no such command")
	case slices.Contains(rest, "--help"):
		return nil
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	if cmd.HasSubCommands() && cmd.Name() != "manifest" && cmd.Name() != "mirror" && cmd.Name() != "serve" {
		return fmt.Errorf("%s needs a command below it", cmd.CommandPath())
	}
	return nil
}

func exprText(node ast.Expr) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), node); err != nil {
		return err.Error()
	}
	return b.String()
}

// ofOthers are flags of other programs that messages name, and those that az has and dray names to refuse them.
var ofOthers = []string{"--resource", "--service-principal", "--tenant", "--region"}

func TestEveryFlagInAMessageIsOneThatDrayHas(t *testing.T) {
	have := slices.Clone(ofOthers)
	everyCommand(func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { have = append(have, "--"+f.Name) })
		cmd.PersistentFlags().VisitAll(func(f *pflag.Flag) { have = append(have, "--"+f.Name) })
	})
	have = append(have, "--help")
	word := regexp.MustCompile(`(?:^|[ (])(--[a-z][a-z-]+)`)
	sourcesOfDray(t, func(path string, set *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, _ := strconv.Unquote(lit.Value)
			for _, m := range word.FindAllStringSubmatch(text, -1) {
				if !slices.Contains(have, m[1]) {
					t.Errorf("%s:%d: no command of dray has %s: %q", path, set.Position(lit.Pos()).Line, m[1], text)
				}
			}
			return true
		})
	})
}

// What the help says of commands and flags is so.
func TestTheHelpNamesCommandsAndFlagsThatExist(t *testing.T) {
	root := newRoot(&app.App{}, nil)
	command := printedCommand()
	flagWord := regexp.MustCompile(`--([a-z][a-z-]+[a-z])`)
	everyCommand(func(cmd *cobra.Command) {
		named := []*cobra.Command{cmd}
		if name := cmd.CommandPath(); name == "dray plan" || name == "dray serve token" {
			named = append(named, cmd.Commands()...) // the help speaks of what these have
		}
		texts := []string{cmd.Short, cmd.Long}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { texts = append(texts, f.Usage) })
		for _, text := range texts {
			named := slices.Clone(named)
			for _, at := range command.FindAllStringIndex(text, -1) {
				words := strings.Fields(strings.Trim(text[at[0]:], "(`"))
				for i := range words {
					words[i] = strings.TrimRight(words[i], ".,;:)")
				}
				of, _, err := root.Find(words[1:min(len(words), 4)])
				if err != nil || of == root {
					t.Errorf("%s: %q names no command", cmd.CommandPath(), text[at[0]:])
					continue
				}
				named = append(named, of)
			}
			for _, m := range flagWord.FindAllStringSubmatch(text, -1) {
				lacks := "has no --src-creds and --dst-creds"
				if strings.Contains(text, lacks) && strings.Contains(lacks, m[0]) {
					continue
				}
				if !slices.ContainsFunc(named, func(c *cobra.Command) bool {
					return c.Flags().Lookup(m[1]) != nil || c.InheritedFlags().Lookup(m[1]) != nil
				}) {
					t.Errorf("%s: no command that %q names has --%s", cmd.CommandPath(), text, m[1])
				}
			}
		}
	})
}
