package limit

import (
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"
)

func TestWaitsAreReadInSecondsAndDates(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"3": 3 * time.Second, " 3 ": 3 * time.Second, "0": 0, "-1": 0, "": 0, "soon": 0, "1.5": 1500 * time.Millisecond,
		"Fri, 20 Nov 2026 12:01:00 GMT": time.Minute, "Fri, 20 Nov 2026 11:59:00 GMT": 0,
		"99999999999999999999999999": 10 * 365 * 24 * time.Hour, "NaN": 0, "Inf": 10 * 365 * 24 * time.Hour,
	} {
		if got := ParseRetryAfter(s, now); got != want {
			t.Errorf("%q is %v, want %v", s, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Fri, 20 Nov 2026 12:01:00 GMT")
	f.Add("1e400")
	f.Fuzz(func(t *testing.T, s string) {
		if d := ParseRetryAfter(s, time.Unix(1e9, 0)); d < 0 || d > 10*366*24*time.Hour || float64(d) == math.Inf(1) {
			t.Errorf("%q is %v", s, d)
		}
	})
}

// The clocks of registries and of this machine may differ by anything. A wait counts by the clock of the registry.
func TestLimitClockOfARegistryThatDiffersChangesNoWait(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, there := range []time.Time{now, now.AddDate(0, 0, 1), now.AddDate(0, 0, -1), now.AddDate(10, 0, 0), now.AddDate(-10, 0, 0), time.Unix(0, 0)} {
		h := http.Header{"Date": {there.UTC().Format(http.TimeFormat)}, "Retry-After": {there.Add(time.Minute).UTC().Format(http.TimeFormat)}}
		if got := ParseRetryAfter(h.Get("Retry-After"), Sent(h, now)); got != time.Minute {
			t.Errorf("%v: Retry-After is %v", there, got)
		}
		if there.Unix() < 1e9 {
			continue // a number of seconds, not a time
		}
		h.Set("RateLimit-Remaining", "0")
		h.Set("RateLimit-Reset", strconv.FormatInt(there.Unix()+60, 10))
		if got := Resets(h, now).Sub(now); got != time.Minute {
			t.Errorf("%v: RateLimit-Reset is in %v", there, got)
		}
	}
	if got := Sent(http.Header{"Date": {"today"}}, now); got != now {
		t.Error(got)
	}
}
