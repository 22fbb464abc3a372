package limit

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ParseRetryAfter returns the wait that s asks for, in seconds or as a date (RFC 9110 §10.2.3). It
// returns 0 for anything else and for a date in the past; then the backoff decides.
func ParseRetryAfter(s string, now time.Time) time.Duration {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if !(n > 0) {
			return 0
		}
		return time.Duration(min(n, 10*365*86400) * float64(time.Second))
	}
	t, err := http.ParseTime(s)
	if err != nil || !t.After(now) {
		return 0
	}
	return min(t.Sub(now), 10*365*24*time.Hour)
}

// Sent returns when an answer was sent by the clock of its server, or now if it does not say that. Times in the other
// headers are by the same clock, which may differ from that of this machine.
func Sent(h http.Header, now time.Time) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return now
}

// Resets returns when requests are available again, if a header says that none are left. Otherwise
// it returns the zero time.
func Resets(h http.Header, now time.Time) time.Time {
	for _, prefix := range []string{"", "X-"} {
		left, _, ok := quota(h.Get(prefix + "RateLimit-Remaining"))
		if !ok || left > 0 {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(h.Get(prefix+"RateLimit-Reset")), 10, 64)
		switch {
		case err != nil || n <= 0:
		case n > 1e9: // GitLab and GitHub send a Unix time instead of a duration
			if wait := time.Unix(n, 0).Sub(Sent(h, now)); wait > 0 {
				return now.Add(wait)
			}
		default:
			return now.Add(time.Duration(min(n, 86400)) * time.Second)
		}
	}
	return time.Time{}
}

// quota parses "100;w=21600": a count, and a window in seconds.
func quota(s string) (n int, window time.Duration, ok bool) {
	count, params, _ := strings.Cut(s, ";")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if err != nil || n < 0 {
		return 0, 0, false
	}
	for param := range strings.SplitSeq(params, ";") {
		if v, is := strings.CutPrefix(strings.TrimSpace(param), "w="); is {
			if seconds, err := strconv.Atoi(v); err == nil && seconds > 0 && seconds <= 31*86400 {
				window = time.Duration(seconds) * time.Second
			}
		}
	}
	return n, window, true
}
