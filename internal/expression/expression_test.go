package expression

import (
	"errors"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func TestOnlyWhatNeedsItIsRunByTheBacktrackingEngine(t *testing.T) {
	for s, slow := range map[string]bool{"re:^a{,3}$": false, `re:(?P<x>a)\Z`: false, `re:(a)\1`: true, "re:(?=a)": true, "a*": false} {
		p, err := Parse(s)
		if err != nil || (p.slow != nil) != slow {
			t.Errorf("%s: %v, %v", s, p.slow != nil, err)
		}
	}
}

func TestATextWithoutWildcardsSelectsItself(t *testing.T) {
	p, err := Parse("team/app.v1")
	if err != nil || p.Size() != 0 {
		t.Fatalf("%d, %v", p.Size(), err)
	}
	for s, want := range map[string]bool{"team/app.v1": true, "team/appxv1": false, "team/app.v10": false, "": false} {
		if got, err := p.Match(s); got != want || err != nil {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func TestAnExpressionThatRepeatsTooMuchIsRefusedBeforeItIsMade(t *testing.T) {
	for _, s := range []string{
		"re:" + strings.Repeat("(?:a?){1000}", 300), // RE2 would make 600,000 instructions
		"re:" + strings.Repeat("a{999}", 500),
		`re:(a?){100000000}\1b`, // regexp2 would push 3 GiB before its time is over
		`re:(?:){1000000000}(a)\1b`,
		`re:((((a|){1000}){1000}){1000})\1b`,
		`re:((?P<x>(?:a|){,100}){11})\1b`,
		`re:(x)(?(1)(a?){40}|b){40}`,
	} {
		before := allocated()
		_, err := Parse(s)
		if err == nil || len(err.Error()) > 200 {
			t.Errorf("%.40s: %v", s, err)
		}
		// To make the first two would take over 120 MB; to read them takes up to 24 MB under the race detector.
		if made := allocated() - before; made > 32<<20 {
			t.Errorf("%.40s: %d bytes are allocated for the error", s, made)
		}
	}
	for _, s := range []string{
		`re:^v\d{1,3}(\.\d{1,3}){2}$`, `re:(a{30}){30}(b)\2`, `re:(a){1000}\1`, "re:a{1000}", "re:" + strings.Repeat("x", 4000),
		`re:[{1001}](a)\1`, `re:\{1001}(a)\1`,
	} {
		if _, err := Parse(s); err != nil {
			t.Errorf("%.40s: %v", s, err)
		}
	}
}

func TestABacktrackingMatchIsBoundedInMemory(t *testing.T) {
	for _, s := range []string{`re:(a?){1000}\1b`, `re:(((a*)*)*)*\1b`, `re:(?:(a?){30}){30}\1b`, `re:(a|aa)+(?!a)\1\1b$`} {
		p, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		before := allocated()
		if ok, err := p.Match(strings.Repeat("a", 255)); ok || err != nil && !errors.Is(err, ErrSlow) {
			t.Errorf("%s: %v, %v", s, ok, err)
		}
		if made := allocated() - before; made > 32<<20 {
			t.Errorf("%s: %d bytes are allocated", s, made)
		}
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestReplaceDoesWhatTheStandardLibraryDoesUpToItsLimit(t *testing.T) {
	texts := []string{"", "v1", "aaa", "a-b-c", "x$1"}
	withs := []string{"", "x", "$0", "${1}", "${1}${1}", "a$$b", "$$", "$", "$x", "${name}-", "$1$", "$$${1}$$", "a${1}b$0c"}
	for _, expr := range []string{"a", "", "^(.*)$", "(a)|(b)", `\b`, `(?P<name>v)\d`, "(-)"} {
		re := regexp.MustCompile(expr)
		for _, s := range texts {
			for _, with := range withs {
				want := re.ReplaceAllString(s, with)
				if got, ok := Replace(re, s, with, len(want)); got != want || !ok {
					t.Errorf("%q in %q by %q: %q, %v, want %q", expr, s, with, got, ok, want)
				}
				if _, ok := Replace(re, s, with, len(want)-1); ok != (len(want) <= len(s)) {
					t.Errorf("%q in %q by %q passes the limit %d: %v", expr, s, with, len(want)-1, ok)
				}
			}
		}
	}
}

func TestAReplacementThatGrowsIsNotBuilt(t *testing.T) {
	match, with, err := ParseSubstitution("s/^(.*)$/" + strings.Repeat("$1", 1500) + "/")
	if err != nil {
		t.Fatal(err)
	}
	s := strings.Repeat("a", 255)
	before := allocated()
	if _, ok := Replace(match, s, with, 255); ok {
		t.Error("it has 382,500 bytes, and passes")
	}
	if made := allocated() - before; made > 64<<10 {
		t.Errorf("%d bytes are allocated", made)
	}
}

func TestASubstitutionIsNoLongerThanAPattern(t *testing.T) {
	for _, s := range []string{"s/a/" + strings.Repeat("b", MaxText) + "/", "s/(?:a?){1000}{1000}/b/", "s/" + strings.Repeat("a{999}", 500) + "/b/"} {
		if _, _, err := ParseSubstitution(s); err == nil || errors.Is(err, ErrForm) {
			t.Errorf("%.30s: %v", s, err)
		}
	}
}
