package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// block matches a fenced block of a page. Its groups are the language, the name of a file that may follow
// the language, and the lines.
var block = regexp.MustCompile("(?ms)^```(\\w+)(?: (\\S+))?\n(.*?)^```$")

// paper runs a page of docs from its first block to its last. It writes a block "text NAME" to the file
// NAME, and runs a block "sh" by sh, with dray on the path. Each further argument FROM=TO replaces the text
// FROM of the page, such as a host, by TO.
func (s *script) paper(ts *testscript.TestScript, args []string) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", args[0]))
	ts.Check(err)
	var pairs []string
	for _, arg := range args[1:] {
		from, to, _ := strings.Cut(arg, "=")
		pairs = append(pairs, from, to)
	}
	putDrayOnPath(ts)
	ran := 0
	for _, b := range block.FindAllStringSubmatch(string(page), -1) {
		switch {
		case b[1] == "text" && b[2] != "":
			ts.Check(os.WriteFile(ts.MkAbs(b[2]), []byte(b[3]), 0o600))
		case b[1] == "sh":
			ts.Logf("%s", b[3])
			ts.Check(ts.Exec("sh", "-euc", strings.NewReplacer(pairs...).Replace(b[3])))
			ran++
		}
	}
	if ran == 0 {
		ts.Fatalf("%s has no block marked sh", args[0])
	}
}

// putDrayOnPath puts this test program on the path under the name dray, in the script's directory bin.
// A second call has no effect.
func putDrayOnPath(ts *testscript.TestScript) {
	self, err := os.Executable()
	ts.Check(err)
	bin := ts.MkAbs("bin")
	ts.Check(os.MkdirAll(bin, 0o755))
	if _, err := os.Lstat(filepath.Join(bin, "dray")); err == nil {
		return
	}
	ts.Check(os.Symlink(self, filepath.Join(bin, "dray")))
	ts.Setenv("PATH", bin+string(os.PathListSeparator)+ts.Getenv("PATH"))
}

// shownCommand is a command of dray at the end of a sentence, or before a further one.
var shownCommand = regexp.MustCompile(`(?:: |see |use |^# )(dray (?:[^\n();']|'[^\n']*')+)`)

// hinted runs a command that dray has shown, as a person would who pastes it into a shell.
func (s *script) hinted(ts *testscript.TestScript, args []string) {
	var line string
	for _, m := range shownCommand.FindAllStringSubmatch(s.stderr, -1) {
		if strings.Contains(m[1], args[1]) {
			line = m[1]
		}
	}
	if line == "" {
		ts.Fatalf("no command with %q in: %s", args[1], s.stderr)
	}
	putDrayOnPath(ts)
	code := 0
	if err := ts.Exec("sh", "-c", line+"; echo code $? >&2"); err != nil {
		ts.Fatalf("%s: %v", line, err)
	}
	if _, err := fmt.Sscanf(lastLine(ts.ReadFile("stderr")), "code %d", &code); err != nil || strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s: exit code %d, want %s (%v)\n%s", line, code, args[0], err, ts.ReadFile("stderr"))
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
