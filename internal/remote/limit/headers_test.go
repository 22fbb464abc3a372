package limit

import (
	"math"
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
