package name

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSimilarNamesAreNotLookedForWithoutEnd(t *testing.T) {
	long := strings.Repeat("ab", 120)
	have := slices.Repeat([]string{strings.Repeat("xy", 120)}, 1_000_000) // half a minute, if all of them were compared
	if got := Similar(long, have); len(got) != 0 {
		t.Errorf("%.300q", got)
	}
	var all []string
	for i := range 100_000 {
		all = append(all, fmt.Sprintf("team-%d/app", i))
	}
	if got := Similar("team-99999/ap", append(all, "other")); len(got) == 0 || got[0] != "team-99999/app" {
		t.Errorf("%q", got)
	}
}
