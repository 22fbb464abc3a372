package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
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
