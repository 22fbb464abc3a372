package wire

import (
	"strings"
	"testing"
)

func TestNamesThatAreSeenAsThemselvesFitTheirGrammar(t *testing.T) {
	for _, name := range []string{"nightly", "a", "Team.app_1-x@eu:blue/green+2", "9", strings.Repeat("a", 128)} {
		if err := CheckScheduleName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"ann", "Ann Smith", "jürgen@example", "spiffe://trust/ns/a?b=c", "日本", "हिन्दी", strings.Repeat("a", 255)} {
		if err := CheckPrincipalName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := CheckNote(""); err != nil {
		t.Error(err)
	}
}

func TestNamesThatDeceiveAreRefusedWithTheGrammar(t *testing.T) {
	for _, name := range []string{"", "a b", "-a", ".a", "a\n", "a\x1b[2J", "а", "é", "a\u202e", "a\\b", "a\xff", strings.Repeat("a", 129)} {
		if err := CheckScheduleName(name); err == nil || !strings.Contains(err.Error(), "letters and digits") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", " a", "a ", "a\nb", "a\tb", "a\x1b[2J", "a\u202eb", "a\u009b", "a\u200b", "a\u00a0b", "a\u2028", "\ufeffa", "a\U000e0041", "a\xff", "\ufffd", strings.Repeat("a", 256),
	} {
		if err := CheckPrincipalName(name); err == nil || !strings.Contains(err.Error(), "letters, digits") {
			t.Errorf("%q: %v", name, err)
		}
		if err := CheckNote(name); name != "" && err == nil {
			t.Errorf("note %q", name)
		}
	}
}
