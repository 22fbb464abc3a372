package job

import (
	"testing"
	"time"
)

// A clock that is wrong for a moment must not make all history too old.
func TestLimitClockThatIsSetForwardDeletesNoHistoryForADay(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for set, want := range map[time.Duration]bool{
		0: false, time.Minute: false, 24 * time.Hour: true, 10 * 365 * 24 * time.Hour: true, -24 * time.Hour: false, -10 * 365 * 24 * time.Hour: false,
	} {
		var d doubt
		at := func(h int, set time.Duration) bool {
			now := start.Add(time.Duration(h) * time.Hour)
			return d.jumped(now.Add(set), now)
		}
		for h := range 3 {
			if at(h, 0) {
				t.Errorf("%v: in doubt before the clock is set", set)
			}
		}
		for h := 3; h < 3+24; h++ {
			if got := at(h, set); got != want {
				t.Errorf("%v: in doubt %v after %d hours", set, got, h-3)
			}
		}
		if at(3+24, set) {
			t.Errorf("%v: in doubt for more than a day", set)
		}
		if set >= 0 && at(3+24, 0) { // set back to the truth; from behind, the truth looks like another jump
			t.Errorf("%v: in doubt when the clock is right again", set)
		}
	}
}
