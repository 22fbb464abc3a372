package plan

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/drayage/dray/fault"
)

var (
	possessive = regexp.MustCompile(`[*+?}]\+`)
	asciiOnly  = regexp.MustCompile(`\\[wWdDsSbB]`)
)

// apart reports whether this is one of the differences from Python that the comment of Pattern documents.
func apart(text, name string, got any) bool {
	return got == "error" && possessive.MatchString(text) || !isASCII(name) && asciiOnly.MatchString(text)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// testdata/python_filters.txt holds the results of Python itself. testdata/python_filters.py writes it; -update
// does not.
func TestPatternsSelectWhatPythonSelects(t *testing.T) {
	raw, err := os.ReadFile("testdata/python_filters.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(lines) < 5000 {
		t.Fatalf("only %d cases", len(lines))
	}
	var (
		p       Pattern
		refused error    // the error of parsing p
		last    = "\x00" // the text of p
	)
	for _, line := range lines {
		var row [4]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		kind, text, name := row[0].(string), row[1].(string), row[2].(string)
		if kind == "glob" && strings.HasPrefix(text, "re:") {
			continue // Pattern reads this prefix as the start of an expression
		}
		if kind == "re" {
			text = "re:" + text
		}
		if text != last {
			p, refused = ParsePattern(text)
			last = text
		}
		var got any = "error"
		if refused == nil {
			if got, err = p.Match(name); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
		if got != row[3] && !apart(text, name, got) {
			t.Errorf("%s %q on %q: %v, Python says %v (%v)", kind, text, name, got, row[3], refused)
		}
	}
}

func texts(ps Patterns) string {
	var out []string
	for _, p := range ps {
		out = append(out, p.String())
	}
	return strings.Join(out, " | ")
}

func TestIgnorePatternsAreSplitAtCommasButNotInsideAnExpression(t *testing.T) {
	for _, tt := range []struct {
		entries  []string
		want     string
		warnings int
	}{
		{nil, "", 0},
		{[]string{"", " , "}, "", 0},
		{[]string{" a/* , b", "c"}, "a/* | b | c", 0},
		{[]string{"re:^(a|b){1,3}$"}, "re:^(a|b){1,3}$", 0},
		{[]string{"x, re:^(a|b){1,3}$"}, "x | re:^(a|b){1,3}$", 0},
		{[]string{" re:^a,re:^b "}, "re:^a,re:^b", 1},
		{[]string{"RE:a,b"}, "RE:a | b", 0},
		{[]string{"[a,b]"}, "[a | b]", 0},
	} {
		ps, err := ParseIgnore(tt.entries...)
		if err != nil || texts(ps) != tt.want || len(ps.Warnings()) != tt.warnings {
			t.Errorf("%q: %s, %v, %v; want %s", tt.entries, texts(ps), ps.Warnings(), err, tt.want)
		}
	}
}

func TestAnIgnoreConfigIsAListOrAnObjectWithPatterns(t *testing.T) {
	for raw, want := range map[string]string{
		`["a/*, b", "re:^x{1,2}$", null, ""]`:   "a/* | b | re:^x{1,2}$",
		`{"patterns": ["a"], "comment": "why"}`: "a",
		"\uFEFF[\"a\"]":                         "a",
		`[]`:                                    "",
		`{"patterns": []}`:                      "",
	} {
		ps, err := ParseIgnoreConfig([]byte(raw))
		if err != nil || texts(ps) != want {
			t.Errorf("%s: %s, %v", raw, texts(ps), err)
		}
	}
	for _, raw := range []string{
		``, `null`, `"a"`, `7`, `[1]`, `["a"`, `["a"] x`, `{}`, `{"patterns": null}`, `{"patterns": "a"}`, `{"patterns": {"a": 1}}`,
		`{"Patterns": ["a"]}`, `["re:("]`, `[["a"]]`, `["` + strings.Repeat("a", MaxIgnoreFile) + `"]`,
	} {
		if ps, err := ParseIgnoreConfig([]byte(raw)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.40s: %s, %v", raw, texts(ps), err)
		}
	}
}

func TestABadExpressionIsInvalidAndNeverLeftOut(t *testing.T) {
	for _, s := range []string{"re:(", "re:a{2,1}", "re:[z-a]", `re:(a)\2`, "re:a++", "re:*", `re:\N{DIGIT ONE}`, strings.Repeat("a", MaxPattern+1)} {
		ps, err := ParseIgnore("fine", s)
		if !fault.Is(err, fault.Invalid) || ps != nil {
			t.Errorf("%.20s: %v, %v", s, ps, err)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("the error has %d bytes, so it repeats the pattern", len(err.Error()))
		}
	}
}

func TestAnExpressionThatBacktracksForEverIsEnded(t *testing.T) {
	p, err := ParsePattern(`re:(a|aa)+(?!a)\1\1b$`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Match(strings.Repeat("a", 250)); !fault.Is(err, fault.TooLarge) {
		t.Errorf("%v", err)
	}
	if _, _, err := (Selection{Ignore: Patterns{p}}).Repositories(t.Context(), []string{strings.Repeat("a", 250)}); !fault.Is(err, fault.TooLarge) {
		t.Errorf("the selection did not end with the error: %v", err)
	}
}

// globMatches is a second implementation of fnmatchcase, without regular expressions.
func globMatches(glob, name []rune) bool {
	if len(glob) == 0 {
		return len(name) == 0
	}
	if glob[0] == '*' {
		for glob = glob[1:]; len(glob) > 0 && glob[0] == '*'; glob = glob[1:] {
		}
		for i := 0; i <= len(name); i++ {
			if globMatches(glob, name[i:]) {
				return true
			}
		}
		return false
	}
	if len(name) == 0 {
		return false
	}
	if glob[0] == '[' {
		if in, after, ok := setHolds(glob, name[0]); ok {
			return in && globMatches(after, name[1:])
		}
	}
	return (glob[0] == '?' || glob[0] == name[0]) && globMatches(glob[1:], name[1:])
}

func setHolds(glob []rune, r rune) (in bool, after []rune, ok bool) {
	i := 1
	negated := i < len(glob) && glob[i] == '!'
	if negated {
		i++
	}
	end := i + 1 // a first ] is in the set
	for end < len(glob) && glob[end] != ']' {
		end++
	}
	if end >= len(glob) {
		return false, nil, false
	}
	for i < end {
		if i+2 < end && glob[i+1] == '-' {
			in = in || glob[i] <= r && r <= glob[i+2]
			i += 3
			continue
		}
		in = in || glob[i] == r
		i++
	}
	return in != negated, glob[end+1:], true
}

func FuzzGlob(f *testing.F) {
	for _, s := range []string{"myRepo/*", "[!a-c]?", "[]-a]", "[", "a[[]b", "**/x", "[z-a]", "[!z-a]"} {
		f.Add(s, "myRepo/a")
	}
	f.Fuzz(func(t *testing.T, glob, name string) {
		if !utf8.ValidString(glob) || !utf8.ValidString(name) || strings.Count(glob, "*") > 6 || len(name) > 60 || strings.HasPrefix(glob, "re:") {
			return // globMatches would be too slow, or a text is not valid UTF-8 and so not a name
		}
		p, err := ParsePattern(glob)
		if err != nil {
			return // longer than MaxPattern
		}
		got, err := p.Match(name)
		if want := globMatches([]rune(glob), []rune(name)); err != nil || got != want {
			t.Errorf("%q on %q: %v, want %v (%v)", glob, name, got, want, err)
		}
	})
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{`^myRepo/([^/]+)/\1$`, "(?P<x>a)(?P=x)", "[[]a-]", "a{,3}", `\141\Z`, "(?(1)a|b)"} {
		f.Add(s, "myRepo/a/a")
	}
	f.Fuzz(func(t *testing.T, expression, name string) {
		p, err := ParsePattern("re:" + expression)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", expression, err)
			}
			return
		}
		if _, err := p.Match(name); err != nil && !fault.Is(err, fault.TooLarge) {
			t.Errorf("%q on %q: %v", expression, name, err)
		}
	})
}

func FuzzIgnoreConfig(f *testing.F) {
	f.Add([]byte(`["a/*, b", "re:^x{1,2}$"]`))
	f.Add([]byte(`{"patterns": ["a"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		ps, err := ParseIgnoreConfig(raw)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		var list []string
		for _, p := range ps {
			list = append(list, p.String())
		}
		again, err := ParseIgnore(list...)
		if err != nil || texts(again) != texts(ps) {
			t.Errorf("%q: %s read again is %s, %v", raw, texts(ps), texts(again), err)
		}
	})
}

func TestAGlobThatIsNotClosedIsRefusedExceptForIgnorePattern(t *testing.T) {
	for _, open := range []string{"[", "a[b", "[ab][", "[!]"} {
		if _, err := ParsePatterns(open); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", open, err)
		}
		if _, err := ParseIgnore(open); err != nil {
			t.Errorf("%s: %v", open, err)
		}
	}
	if _, err := ParsePatterns("[ab]*", "re:[[]", "v[]]"); err != nil {
		t.Error(err)
	}
}
