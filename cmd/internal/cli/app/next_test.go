package app

import (
	"errors"
	"testing"

	"github.com/drayage/dray/fault"
)

func TestSimilarNamesAreListedOnceAndOnlyForWhatDoesNotExist(t *testing.T) {
	gone := &fault.Fault{Kind: fault.NotFound, Op: "find job", Name: "ab"}
	denied := &fault.Fault{Kind: fault.Denied, Hint: "log in"}
	for _, c := range []struct {
		err   error
		have  []string
		fails error
		hint  string
		asked int
	}{
		{err: nil},
		{err: denied, hint: "log in"},
		{err: gone, have: []string{"abc", "zzzzz"}, hint: "similar jobs: abc; see dray jobs list", asked: 1},
		{err: gone, have: []string{"zzzzz"}, hint: "see dray jobs list", asked: 1},
		{err: gone, fails: denied, hint: "see dray jobs list", asked: 1},
	} {
		asked := 0
		got := Nearest(c.err, "jobs", "ab", "dray jobs list", func() ([]string, error) { asked++; return c.have, c.fails })
		if !errors.Is(got, c.err) || fault.KindOf(got) != fault.KindOf(c.err) || fault.HintOf(got) != c.hint || asked != c.asked {
			t.Errorf("%v of %v: %v, hint %q, asked %d times", c.err, c.have, got, fault.HintOf(got), asked)
		}
	}
}
