package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// block is a fenced block of a page: its language, the name of a file after the language, and its lines.
var block = regexp.MustCompile("(?ms)^```(\\w+)(?: (\\S+))?\n(.*?)^```$")

// paper runs the blocks of a page of docs in order: a block "text NAME" becomes the file NAME, and a block "sh"
// is run by sh, with dray on the path. Further arguments FROM=TO replace text of the page.
func (s *script) paper(ts *testscript.TestScript, args []string) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", args[0]))
	ts.Check(err)
	var pairs []string
	for _, arg := range args[1:] {
		from, to, _ := strings.Cut(arg, "=")
		pairs = append(pairs, from, to)
	}
	self, err := os.Executable()
	ts.Check(err)
	bin := ts.MkAbs("bin")
	ts.Check(os.MkdirAll(bin, 0o755))
	ts.Check(os.Symlink(self, filepath.Join(bin, "dray")))
	ts.Setenv("PATH", bin+string(os.PathListSeparator)+ts.Getenv("PATH"))
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
		ts.Fatalf("%s has no block of sh", args[0])
	}
}
