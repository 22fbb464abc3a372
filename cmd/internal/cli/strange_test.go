package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/foreign"
)

// someNames are arguments for the line of a foreign command.
var someNames = []string{"localhost:1/a:v1", "localhost:2/b:v1"}

// typedForeign returns a command line of c that has a line of dray; nil if none has.
func typedForeign(c foreign.Command, tree foreign.Tree) (typed []string, a foreign.Answer) {
	for _, rest := range [][]string{nil, someNames[:1], someNames, {"import", "--source", someNames[0], "--name", "localhost:2"}, {"list"}, {"-f", "rules.yaml"}} {
		typed = append(strings.Fields(c.Typed), rest...)
		if a, ok := foreign.CommandIn(typed, tree); ok && a.Line != nil {
			return typed, a
		}
	}
	return nil, foreign.Answer{}
}

func TestEachCommandOfAnotherToolIsAnsweredWithALineThatDrayRuns(t *testing.T) {
	tree, seen := treeOf(func() *cobra.Command { return newRoot(&app.App{}, nil) }), map[string]bool{}
	for _, c := range foreign.Commands() {
		if seen[c.Typed] {
			t.Errorf("%s stands twice in the table", c.Typed)
		}
		seen[c.Typed] = true
		if tree.Has(strings.Fields(c.Typed)...) {
			continue // dray has got it
		}
		typed, a := typedForeign(c, tree)
		switch {
		case c.Line == "" && c.Why == "":
			t.Errorf("%s: neither a line nor a reason", c.Typed)
		case c.Line == "":
			if a, ok := foreign.CommandIn(append(strings.Fields(c.Typed), someNames...), tree); !ok || a.Line != nil || a.Why == "" {
				t.Errorf("%s: %+v", c.Typed, a)
			}
			continue
		case typed == nil:
			t.Errorf("%s: no arguments lead to a line", c.Typed)
			continue
		}
		if !tree.Parses(a.Line) {
			t.Errorf("%q: dray %q does not parse", typed, a.Line)
		}
		var out, err bytes.Buffer
		code := Main(t.Context(), typed, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv})
		if code != 2 || !strings.Contains(err.String(), "(hint: use dray "+strings.Join(a.Line, " ")) {
			t.Errorf("%q: code %d, %s", typed, code, err.String())
		}
	}
}

func TestEachFlagOfAnotherToolIsAnsweredWithALineThatDrayRuns(t *testing.T) {
	tree := treeOf(func() *cobra.Command { return newRoot(&app.App{}, nil) })
	lines := [][]string{
		append([]string{"copy"}, someNames...), append([]string{"transfer"}, someNames...), {"inspect", someNames[0]}, {"login", "localhost:1"},
		{"ls", someNames[0]}, {"digest", someNames[0]},
	}
	for _, f := range foreign.Flags() {
		for name := range strings.FieldsSeq(f.Names) {
			if !strings.HasPrefix(name, "-") {
				name = "--" + name
			}
			words := []string{name}
			switch f.Value {
			case foreign.Same, foreign.Dropped:
				words = append(words, "4")
			case foreign.Login:
				words = append(words, "ann:canary-7f3a91")
			case foreign.Verifies:
				words[0] += "=false"
			case foreign.Alone:
			}
			answered := false
			for _, l := range lines {
				a, ok := foreign.FlagIn(slices.Concat(l, words), name, tree)
				answered = answered || ok && (a.Line != nil && parses(a.Line) == nil) != (f.None != "") && (f.None == "" || a.Why == f.None)
			}
			if !answered {
				t.Errorf("%s: no line of dray is right, and no reason is given", name)
			}
		}
	}
}

// Whatever a person types, and however another tool writes it, a secret is not repeated.
func TestTheAnswerToAForeignWordRepeatsNoSecret(t *testing.T) {
	for _, line := range []string{
		"cp a.example/x b.example/y --dest-creds ann:canary-7f3a91", "copy a.example/x b.example/y --dest-creds=ann:canary-7f3a91", "copy a.example/x b.example/y --dest-creds canary-7f3a91",
		"cp a.example/x b.example/y --dst-creds ann:canary-7f3a91", "cp a.example/x b.example/y --src-creds=:canary-7f3a91", "copy --all --src-creds ann:canary-7f3a91 a.example/x b.example/y",
		"acr import --source a.example/x --name b.example -u ann -p canary-7f3a91", "acr import --source a.example/x --name b.example --password=canary-7f3a91", "acr login -n b.example -p canary-7f3a91",
		"auth login b.example -u ann -p canary-7f3a91", "auth login b.example -u ann:canary-7f3a91", "copy --to-password canary-7f3a91 --all a.example/x b.example/y", "cp --dest-registry-token canary-7f3a91 a.example/x b.example/y",
		"cp https://ann:canary-7f3a91@a.example/x b.example/y", "cp ann:canary-7f3a91@a.example/x b.example/y", "sync --registry-token=canary-7f3a91 a.example b.example", "copy --all -p canary-7f3a91 a.example/x b.example/y",
	} {
		var out, err bytes.Buffer
		code := Main(t.Context(), strings.Fields(line), app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv})
		if code != 2 || strings.Contains(out.String()+err.String(), "canary-7f3a91") {
			t.Errorf("%s: code %d, %s%s", line, code, out.String(), err.String())
		}
	}
}

// The page about other tools has the tables of package foreign. go test ./cmd/internal/cli -run Foreign -update writes
// them again.
func TestThePageAboutOtherToolsHasTheForeignWords(t *testing.T) {
	const begin, end = "<!-- words: made by a test -->\n", "<!-- end of words -->\n"
	page := filepath.Join("..", "..", "..", "docs", "comparison.md")
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(strings.ReplaceAll(string(raw), "\r\n", "\n"), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the words", page)
	}
	want := before + begin + foreignTables() + end + after
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != before+begin+rest {
		t.Errorf("%s does not have the tables of package foreign", page)
	}
}

// foreignTables returns the tables of commands and of flags as Markdown. Words with the same answer share a row.
func foreignTables() string {
	tree := treeOf(func() *cobra.Command { return newRoot(&app.App{}, nil) })
	var b strings.Builder
	rows := func(head string, all [][2]string) {
		fmt.Fprintf(&b, "| %s | with dray |\n|---|---|\n", head)
		for i, row := range all {
			if slices.ContainsFunc(all[:i], func(r [2]string) bool { return r[1] == row[1] }) {
				continue
			}
			var words []string
			for _, same := range all[i:] {
				if same[1] == row[1] {
					words = append(words, same[0])
				}
			}
			fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(words, ", "), row[1])
		}
		b.WriteString("\n")
	}
	var commands, flags [][2]string
	for _, c := range foreign.Commands() {
		if tree.Has(strings.Fields(c.Typed)...) {
			continue
		}
		answer := c.Why
		if c.Line != "" {
			answer = "`dray " + strings.ReplaceAll(c.Line, "...", "…") + "`"
			if c.Why != "" {
				answer += "; " + c.Why
			}
		}
		commands = append(commands, [2]string{"`" + c.Typed + "`", answer})
	}
	for _, f := range foreign.Flags() {
		var names []string
		for name := range strings.FieldsSeq(f.Names) {
			if !strings.HasPrefix(name, "-") {
				name = "--" + name
			}
			names = append(names, "`"+name+"`")
		}
		answer := f.None
		if f.None == "" && f.To != "" {
			answer = "`" + f.To + "`"
		}
		if f.Why != "" {
			answer = strings.TrimPrefix(answer+"; "+f.Why, "; ")
		}
		flags = append(flags, [2]string{strings.Join(names, ", "), answer})
	}
	rows("command", commands)
	rows("flag", flags)
	return b.String()
}

// A file of another tool is an archive for dray, whichever way round the two names are and however it is given.
func TestTheFileOfAnotherToolIsNamedAsAnArchive(t *testing.T) {
	tree := treeOf(func() *cobra.Command { return newRoot(&app.App{}, nil) })
	for typed, want := range map[string]string{
		"pull a.example/x:v1 x.tar":                        "copy a.example/x:v1 docker-archive:x.tar",
		"pull --platform linux/amd64 a.example/x:v1 x":     "copy a.example/x:v1 docker-archive:x --platform linux/amd64",
		"pull a.example/x:v1":                              "copy a.example/x:v1 oci:image",
		"save -o x.tar a.example/x:v1":                     "copy a.example/x:v1 docker-archive:x.tar",
		"save a.example/x:v1 --output=x.tar":               "copy a.example/x:v1 docker-archive:x.tar",
		"image save a.example/x:v1":                        "copy a.example/x:v1 docker-archive:image.tar",
		"push x.tar a.example/x:v1":                        "copy docker-archive:x.tar a.example/x:v1",
		"load a.example/x:v1":                              "copy docker-archive:image.tar a.example/x:v1",
		"image export a.example/x:v1 x.tar":                "copy a.example/x:v1 oci-archive:x.tar",
		"image import a.example/x:v1 x.tar":                "copy oci-archive:x.tar a.example/x:v1",
		"copy -r a.example/x:v1 b.example/x:v1":            "copy a.example/x:v1 b.example/x:v1",
		"image copy --digest-tags a.example/x b.example/x": "copy a.example/x b.example/x",
	} {
		words := strings.Fields(typed)
		a, ok := foreign.CommandIn(words, tree)
		if !ok {
			a, ok = foreign.FlagIn(words, words[1], tree)
		}
		if got := strings.Join(a.Line, " "); !ok || got != want {
			t.Errorf("%s: %q, want %q (%s)", typed, got, want, a.Why)
		}
	}
	if a, _ := foreign.CommandIn([]string{"push", "https://ann:canary-7f3a91@a.example/x", "b.example/x"}, tree); a.Line != nil {
		t.Errorf("an address with a password is repeated: %q", a.Line)
	}
}
