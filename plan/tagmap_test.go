package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

func substitution(t *testing.T, s string) Substitution {
	t.Helper()
	sub, err := ParseSubstitution(s)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func TestATagMapTriesPairsAndThenRenames(t *testing.T) {
	m := TagMap{
		Pairs:  []Pair{{"latest", "stable"}, {"v1", "one"}, {"v1", "uno"}, {"v1", "one"}},
		Rename: Renames{substitution(t, `s/^v(.*)$/v$1-production/`), substitution(t, `s|-rc|_rc|`)},
	}
	for tag, want := range map[string]string{
		"latest": "stable", "v1": "one uno", "v2.0": "v2.0-production", "v3-rc1": "v3_rc1-production", "edge": "edge",
	} {
		for _, m := range []TagMap{m, m.Indexed()} {
			if got, err := m.Targets(tag); err != nil || strings.Join(got, " ") != want {
				t.Errorf("%s: %q, %v, want %q", tag, got, err, want)
			}
		}
	}
	if !slices.Equal(m.Keys(), []string{"latest", "v1"}) {
		t.Errorf("keys %v", m.Keys())
	}
	if got, err := (TagMap{}).Targets("v1"); err != nil || !slices.Equal(got, []string{"v1"}) {
		t.Errorf("the zero map makes %v", got)
	}
}

func TestAGroupEndsWithItsNumber(t *testing.T) {
	if got, err := (Renames{substitution(t, `s/^v(.*)$/$1_x/`)}).Apply("v7", 4); err != nil || got != "7_x" {
		t.Errorf("%q", got)
	}
}

func TestWhatIsNoMapIsRefused(t *testing.T) {
	for _, s := range []string{"", "s", "s/a/b", "x/a/b/", "s/a/b/g", "s/(/b/", `s/(a)/\1/`, "s//b/", "s/a/b/c/"} {
		if _, err := ParseSubstitution(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "a", "=a", "a="} {
		if _, err := ParsePair(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if err := (TagMap{Pairs: []Pair{{"v1", "no/tag"}}}).Check(); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestMovingNamesHaveNoDigit(t *testing.T) {
	for tag, want := range map[string]bool{"latest": true, "stable": true, "v1": false, "1.25-alpine": false, "main": true, "": false} {
		if Moving(tag) != want {
			t.Errorf("%q: %v", tag, !want)
		}
	}
}
