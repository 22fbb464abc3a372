package plan

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/drayage/dray/fault"
)

func TestLettersLookAtTheFirstLetterAnywhereInTheName(t *testing.T) {
	names := []string{"1a/z", "9to5", "123", "Apple", "_e", "charlie/x", "dora", "émile", "zoo", ""}
	for letters, want := range map[string]string{
		"":          "1a/z 9to5 123 Apple _e charlie/x dora émile zoo ",
		"a-c,e":     "1a/z Apple _e charlie/x",
		" A - C ,E": "1a/z Apple _e charlie/x",
		"t":         "9to5",
		"é":         "émile",
		"z,":        "zoo",
		"a-z":       "1a/z 9to5 Apple _e charlie/x dora zoo",
		"d-d":       "dora",
		",":         "",
		" ":         "",
		"ß-ÿ":       "émile",
	} {
		l, err := ParseLetters(letters)
		if err != nil {
			t.Errorf("%q: %v", letters, err)
			continue
		}
		var got []string
		for _, name := range names {
			if l.Match(name) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q selects %q, want %q", letters, got, want)
		}
		if (l.Warning() != "") != (strings.Trim(letters, ", ") == "" && letters != "") {
			t.Errorf("%q warns %q", letters, l.Warning())
		}
	}
}

func TestLettersThatAreNoneAreRefusedInTheKnownWords(t *testing.T) {
	for letters, want := range map[string]string{
		"ab":       "Invalid letter token 'ab'.",
		"1":        "Invalid letter token '1'.",
		"a, b c":   "Invalid letter token ' b c'.",
		"a-":       "Invalid range token 'a-'. Use the form a-c.",
		"-":        "Invalid range token '-'. Use the form a-c.",
		"x,a-c-e":  "Invalid range token 'a-c-e'. Use the form a-c.",
		"1-3":      "Invalid range token '1-3'. Use the form a-c.",
		"C-a":      "Invalid range token 'C-a'. Range start must precede end.",
		"a-\xff":   "Invalid range token 'a-\xff'. Use the form a-c.",
		"\xff":     "Invalid letter token '\xff'.",
		"a;b,c":    "Invalid letter token 'a;b'.",
		"a-c,,e f": "Invalid letter token 'e f'.",
	} {
		_, err := ParseLetters(letters)
		var f *fault.Fault
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Err.Error() != want {
			t.Errorf("%q: %v, want %s", letters, err, want)
		}
	}
}

func FuzzLetters(f *testing.F) {
	f.Add("a-c,e", "1a/z")
	f.Add(",", "x")
	f.Add("İ-ß", "ǅ")
	f.Fuzz(func(t *testing.T, letters, name string) {
		l, err := ParseLetters(letters)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", letters, err)
			}
			return
		}
		if l.Warning() != "" && l.Match(name) {
			t.Errorf("%q warns that it selects nothing, and selects %q", letters, name)
		}
		if utf8.ValidString(name) && l.Match(name) != l.Match(strings.ToLower(name)) {
			t.Errorf("%q depends on the case of %q", letters, name)
		}
		if l.Match("0_"+name) != l.Match(name) {
			t.Errorf("%q does not skip the characters before the first letter of %q", letters, name)
		}
		again, err := ParseLetters(strings.ToUpper(l.String()))
		if err == nil && isASCII(letters) && again.Match(name) != l.Match(name) {
			t.Errorf("%q selects other names in upper case", letters)
		}
	})
}
