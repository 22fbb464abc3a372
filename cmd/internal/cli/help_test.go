package cli

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
)

// everyCommand calls visit with dray and all commands below it, the hidden ones too.
func everyCommand(visit func(*cobra.Command)) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		visit(cmd)
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(newRoot(&app.App{}, nil))
}

// helpOf runs a command with --help on a terminal with so many columns; 0 means no terminal.
func helpOf(t *testing.T, path string, columns int) string {
	t.Helper()
	var out, err bytes.Buffer
	args := strings.Fields(path + " --help")[1:]
	code := Main(t.Context(), args, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv, Terminal: app.Terminal{Width: columns}})
	if code != 0 || err.Len() > 0 {
		t.Fatalf("%s: code %d, stderr %s", path, code, err.String())
	}
	return out.String()
}

// The files of testdata/help are what each command prints. After a change of a text,
// go test ./cmd/internal/cli -run Help -update writes them again.
func TestTheHelpOfEveryCommandIsItsFileAndFitsEightyColumns(t *testing.T) {
	update := flag.Lookup("update").Value.String() == "true"
	left := map[string]bool{}
	files, err := filepath.Glob(filepath.Join("testdata", "help", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		left[f] = true
	}
	everyCommand(func(cmd *cobra.Command) {
		got := helpOf(t, cmd.CommandPath(), 0)
		for line := range strings.SplitSeq(got, "\n") {
			if utf8.RuneCountInString(line) > 80 {
				t.Errorf("%s: longer than 80 columns: %s", cmd.CommandPath(), line)
			}
		}
		name := strings.ReplaceAll(strings.TrimPrefix(cmd.CommandPath(), "dray "), " ", "_")
		file := filepath.Join("testdata", "help", name+".txt")
		delete(left, file)
		if update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if want := strings.ReplaceAll(string(want), "\r\n", "\n"); got != want {
			t.Errorf("%s differs from the help (-update writes it again):\n%s", file, got)
		}
	})
	for file := range left {
		if !update {
			t.Errorf("%s is the help of no command", file)
		} else if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}

func TestHelpOfACommandIsThatOfItsFlag(t *testing.T) {
	var out, err bytes.Buffer
	code := Main(t.Context(), []string{"help", "plan", "cost"}, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv})
	if want := helpOf(t, "dray plan cost", 0); code != 0 || out.String() != want {
		t.Errorf("code %d, stderr %s, stdout %s", code, err.String(), out.String())
	}
}

func TestHelpTakesTheWidthOfATerminalWithinReason(t *testing.T) {
	longest := func(columns int) (n int) {
		page := helpOf(t, "dray transfer", columns)
		before, flags, _ := strings.Cut(page, "\nExamples:\n")
		_, flags, _ = strings.Cut(flags, "\n\n") // examples are not wrapped
		for line := range strings.SplitSeq(before+flags, "\n") {
			n = max(n, utf8.RuneCountInString(line))
		}
		return n
	}
	for columns, want := range map[int]int{0: 80, 10: 60, 60: 60, 100: 100, 120: 120, 400: 120} {
		if n := longest(columns); n > want || n < want-8 {
			t.Errorf("on %d columns the longest line has %d, want %d at most and not much less", columns, n, want)
		}
	}
}

func TestTheFlagsOfTransferStandInGroups(t *testing.T) {
	page, at := helpOf(t, "dray transfer", 0), 0
	for _, heading := range []string{
		"Which repositories", "Which tags", "Names at the target", "Safety", "Speed", "acr_transfer.py compatibility", "Server", "Registries", "Every command",
	} {
		i := strings.Index(page[at:], "\n"+heading+":\n")
		if i < 0 {
			t.Fatalf("no heading %q after byte %d of\n%s", heading, at, page)
		}
		at += i
	}
	if strings.Contains(page, "\nFlags:\n") {
		t.Error("a flag of transfer is in no group")
	}
}

func TestFlagsOfRegistriesAreOnlyWithCommandsOnWhichTheyHaveAnEffect(t *testing.T) {
	both, one := []string{"src-creds", "dst-creds"}, []string{"retries", "stall-timeout", "first-byte-timeout", "max-wait", "ca-file", "insecure", "plain-http"}
	asks := func(more ...string) []string { return slices.Concat(one, more) }
	plans := asks("src-creds", "dst-creds", "concurrency")
	copies := append(slices.Clone(plans), "bandwidth")
	want := map[string][]string{
		"import": copies, "copy": copies, "batch": copies, "transfer": copies, "apply": copies, "verify": copies,
		"plan import": plans, "plan copy": plans, "plan transfer": plans, "plan cost": asks(both...),
		"mirror": asks("concurrency", "bandwidth"), "check": asks(both...),
		"tag": asks("dst-creds"), "rm": asks("dst-creds"), "repository untag": asks("dst-creds"), "repository delete": asks("dst-creds"),
		"ls": asks("src-creds"), "referrers": asks("src-creds"), "inspect": asks("src-creds"), "digest": asks("src-creds"),
		"manifest": asks("src-creds"), "manifest show": asks("src-creds"), "manifest list-metadata": asks("src-creds"),
		"repository list": asks("src-creds"), "repository show-tags": asks("src-creds"), "repository show-manifests": asks("src-creds"),
		"repository show": asks("src-creds"), "repository update": asks("dst-creds"), "manifest delete": asks("dst-creds"),
		"manifest list": asks("src-creds"), "manifest list-referrers": asks("src-creds"),
		"manifest show-metadata": asks("src-creds"), "manifest update-metadata": asks("dst-creds"),
		"login": one, "jobs retry": both,
		"bundle create": asks("src-creds", "concurrency"), "bundle have": asks("src-creds"),
		"bundle load": asks("dst-creds", "concurrency", "bandwidth"),
	}
	all := asks("src-creds", "dst-creds", "concurrency", "bandwidth")
	everyCommand(func(cmd *cobra.Command) {
		name := strings.TrimPrefix(cmd.CommandPath(), "dray ")
		for _, f := range all {
			has := cmd.Flags().Lookup(f) != nil
			if f == "ca-file" && cmd.Flags().Lookup("server") != nil { // it is for the certificate of the server, too
				has = has && slices.Contains(want[name], f)
			}
			if has != slices.Contains(want[name], f) {
				t.Errorf("%s has --%s: %v", name, f, has)
			}
		}
	})
}

func TestTheTextOfAFlagDoesNotBeginWithItsValueNorListItTwice(t *testing.T) {
	everyCommand(func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			value, text := pflag.UnquoteUsage(f)
			if value != "" && (strings.HasPrefix(text, value) || strings.Contains(value, "|") && value[0] >= 'a' && strings.Contains(text, value)) {
				t.Errorf("%s --%s %s: %s", cmd.CommandPath(), f.Name, value, text)
			}
		})
	})
}

// Each command that needs arguments names in its usage the one that is missing.
func TestAMissingArgumentIsNamed(t *testing.T) {
	everyCommand(func(cmd *cobra.Command) {
		if err := cmd.ValidateArgs(nil); err != nil && !strings.HasSuffix(err.Error(), " missing") {
			t.Errorf("%s: %v", cmd.CommandPath(), err)
		}
	})
}

func TestAPasswordFlagStandsBesideItsWarningAndTheSaferWays(t *testing.T) {
	everyCommand(func(cmd *cobra.Command) {
		page := strings.Join(strings.Fields(helpOf(t, cmd.CommandPath(), 0)), " ")
		if cmd.Flags().Lookup("password") != nil && !strings.Contains(page, "visible to other processes of this machine and in the shell's history, so prefer --password-stdin") {
			t.Errorf("%s: nothing warns of --password", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if strings.HasSuffix(f.Name, "-creds") && !strings.Contains(f.Usage, "visible to other processes") {
				t.Errorf("%s: nothing warns of --%s", cmd.CommandPath(), f.Name)
			}
		})
	})
}

func TestEveryLineOfAnExampleIsAValidCommandLine(t *testing.T) {
	everyCommand(func(cmd *cobra.Command) {
		name, own := cmd.CommandPath(), false
		for _, words := range commandLines(strings.ReplaceAll(cmd.Example, "\\\n", " ")) {
			for len(words) > 0 && strings.Contains(words[0], "=") {
				words = words[1:] // a variable
			}
			if len(words) == 0 || words[0] != "dray" {
				continue
			}
			if strings.Contains(strings.Join(words, ""), "`") {
				t.Errorf("%s: a shell runs what is between backquotes: %q", name, words)
			}
			of, rest, err := newRoot(&app.App{}, nil).Find(words[1:])
			if err == nil {
				err = of.ParseFlags(rest)
			}
			if err == nil {
				err = of.ValidateArgs(of.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: example %q: %v", name, words, err)
			}
			own = own || of.CommandPath() == name
		}
		if cmd.Runnable() && !cmd.HasSubCommands() && !own {
			t.Errorf("%s: no example shows it", name)
		}
	})
}

// commandLines splits lines of a shell into commands and their words, as far as examples need it: quotes,
// pipes, lists, redirections, and commands in $(…) and <(…), which count as a word of the outer command.
func commandLines(text string) (all [][]string) {
	type level struct {
		words []string
		word  strings.Builder
		open  bool // a word has begun
	}
	stack := []*level{{}}
	top := func() *level { return stack[len(stack)-1] }
	endWord := func() {
		if l := top(); l.open {
			l.words = append(l.words, l.word.String())
			l.word.Reset()
			l.open = false
		}
	}
	endCommand := func() {
		endWord()
		if l := top(); len(l.words) > 0 {
			all = append(all, l.words)
			l.words = nil
		}
	}
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == '"' && c == '\\':
			i++
			top().word.WriteByte(text[i])
		case quote != 0:
			top().word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, top().open = c, true
		case (c == '$' || c == '<') && strings.HasPrefix(text[i+1:], "("):
			top().word.WriteString("X")
			top().open = true
			stack = append(stack, &level{})
			i++
		case c == ')':
			endCommand()
			stack = stack[:len(stack)-1]
		case c == '|' || c == '&' || c == ';' || c == '\n':
			endCommand()
		case c == '>':
			endWord()
			for i+1 < len(text) && text[i+1] != '\n' && text[i+1] != '|' { // the rest is the file's name
				i++
			}
		case c == ' ':
			endWord()
		default:
			top().word.WriteByte(c)
			top().open = true
		}
	}
	endCommand()
	return all
}
