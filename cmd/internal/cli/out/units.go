package out

import (
	"cmp"
	"fmt"
	"time"
)

// Plural returns a count of what, such as "1 tag" or "2 tags".
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Size returns a number of bytes as people write it, such as "45 MiB", "1.5 GiB" or "512 B".
func Size(bytes int64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	v, unit := float64(bytes), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v /= 1024; v < 999.5 {
			break
		}
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// Seconds returns a duration as people write it, such as "40 ms", "2.1 s", "3m20s" or "2h05m".
func Seconds(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// Moment returns t in UTC to the second, in the form of RFC 3339, as JSON has it: one word, with its date
// and its zone. It returns "-" for the zero time.
func Moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// Dashed returns s on one line, or "-" if it is empty, so that every row has the same number of words.
func Dashed(s string) string { return cmp.Or(OneLine(s), "-") }

// Repositories returns a count, such as "1 repository" or "2 repositories".
func Repositories(n int) string {
	if n == 1 {
		return "1 repository"
	}
	return fmt.Sprintf("%d repositories", n)
}
