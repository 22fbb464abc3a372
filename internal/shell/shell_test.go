package shell_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/drayage/dray/internal/shell"
)

func TestAShellReadsTheWordsOfALineAsTheyWereGiven(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("sh is missing")
	}
	words := []string{"app:v1", "", "two words", "it's", `"$HOME" \ `, "team/*", "~/x", "a;b&c|d", "#no", "{a,b}", "ä", "s/^v(.*)$/v$1/"}
	got, err := exec.Command(sh, "-c", "for w in "+strings.TrimPrefix(shell.Dray(words...), "dray ")+`; do printf '<%s>\n' "$w"; done`).Output()
	if want := "<" + strings.Join(words, ">\n<") + ">\n"; err != nil || string(got) != want {
		t.Errorf("%v: got %q, want %q", err, got, want)
	}
}

func TestAPlainWordNeedsNoQuotes(t *testing.T) {
	if got, want := shell.Dray("copy", "reg.example:5000/a@sha256:00", "--rehash=10%"), "dray copy reg.example:5000/a@sha256:00 --rehash=10%"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
