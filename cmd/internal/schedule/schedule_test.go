package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// times lists the next n times after a given one, in UTC.
func times(t *testing.T, spec Spec, after string, n int) string {
	t.Helper()
	s, err := Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for now := at(t, after); n > 0; n-- {
		now = s.Next(now)
		all = append(all, now.UTC().Format("01-02T15:04"))
	}
	return strings.Join(all, " ")
}

func TestASchedulesTimesAreThoseOfItsZone(t *testing.T) {
	for _, c := range []struct {
		spec        Spec
		after, want string
	}{
		{Spec{Cron: "30 2 * * *"}, "2026-01-10T00:00:00Z", "01-10T02:30 01-11T02:30"},
		{Spec{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"}, "2026-01-10T00:00:00Z", "01-10T01:30 01-11T01:30"},
		{Spec{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"}, "2026-07-10T00:00:00Z", "07-10T00:30 07-11T00:30"},
		{Spec{Cron: "0 0 * * *", TimeZone: "Asia/Kolkata"}, "2026-01-10T00:00:00Z", "01-10T18:30 01-11T18:30"},
		{Spec{Cron: "@daily", TimeZone: "America/New_York"}, "2026-01-10T00:00:00Z", "01-10T05:00 01-11T05:00"},
		{Spec{Cron: "@hourly"}, "2026-01-10T00:00:00Z", "01-10T01:00 01-10T02:00"},
		{Spec{Cron: "*/20 8-9 * * mon-fri"}, "2026-01-09T09:30:00Z", "01-09T09:40 01-12T08:00"},
		{Spec{Cron: "0 0 13 * fri"}, "2026-01-10T00:00:00Z", "01-13T00:00 01-16T00:00"}, // either day matches, as in crontab
		{Spec{Cron: "0 0 29 2 *"}, "2026-01-10T00:00:00Z", "02-29T00:00 02-29T00:00"},
		{Spec{Every: "6h"}, "2026-01-10T01:02:03Z", "01-10T07:02 01-10T13:02"},
		{Spec{Every: "90m"}, "2026-01-10T00:00:00Z", "01-10T01:30 01-10T03:00"},
	} {
		if got := times(t, c.spec, c.after, 2); got != c.want {
			t.Errorf("%+v: %s, want %s", c.spec, got, c.want)
		}
	}
}

func TestARunInASkippedHourIsMadeUpForAndOneInARepeatedHourRunsOnce(t *testing.T) {
	for _, c := range []struct {
		spec        Spec
		after, want string
	}{
		// Berlin, 29 March 2026: 02:00 becomes 03:00, at 01:00 UTC.
		{Spec{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"}, "2026-03-28T00:00:00Z", "03-28T01:30 03-29T01:00 03-30T00:30"},
		// Berlin, 25 October 2026: 03:00 becomes 02:00 again, at 01:00 UTC.
		{Spec{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"}, "2026-10-24T00:00:00Z", "10-24T00:30 10-25T00:30 10-26T01:30"},
		// New York, 8 March 2026: 02:00 becomes 03:00, at 07:00 UTC.
		{Spec{Cron: "15 2 * * *", TimeZone: "America/New_York"}, "2026-03-07T00:00:00Z", "03-07T07:15 03-08T07:00 03-09T06:15"},
		// São Paulo, 4 November 2018: midnight becomes 01:00, at 03:00 UTC.
		{Spec{Cron: "@daily", TimeZone: "America/Sao_Paulo"}, "2018-11-03T00:00:00Z", "11-03T03:00 11-04T03:00 11-05T02:00"},
		// Lord Howe Island, 5 April 2026: 02:00 becomes 01:30 again, at 15:00 UTC the day before.
		{Spec{Cron: "45 1 * * *", TimeZone: "Australia/Lord_Howe"}, "2026-04-03T15:00:00Z", "04-04T14:45 04-05T15:15 04-06T15:15"},
		// Lord Howe Island, 4 October 2026: 02:00 becomes 02:30, at 15:30 UTC the day before.
		{Spec{Cron: "15 2 * * *", TimeZone: "Australia/Lord_Howe"}, "2026-10-02T12:00:00Z", "10-02T15:45 10-03T15:30 10-04T15:15"},
		// An hourly schedule follows elapsed time in the half hour that occurs twice, so none is left out.
		{Spec{Cron: "45 * * * *", TimeZone: "Australia/Lord_Howe"}, "2026-04-04T14:00:00Z", "04-04T14:45 04-04T15:15 04-04T16:15"},
		// Two times in the skipped hour are one run.
		{Spec{Cron: "0,30 2 * * *", TimeZone: "Europe/Berlin"}, "2026-03-28T02:00:00Z", "03-29T01:00 03-30T00:00 03-30T00:30"},
		// Hourly schedules are not affected by either change.
		{Spec{Cron: "0 * * * *", TimeZone: "Europe/Berlin"}, "2026-03-29T00:00:00Z", "03-29T01:00 03-29T02:00 03-29T03:00"},
		{Spec{Cron: "@hourly", TimeZone: "Europe/Berlin"}, "2026-10-24T23:00:00Z", "10-25T00:00 10-25T01:00 10-25T02:00"},
		{Spec{Every: "1h"}, "2026-03-29T00:00:00Z", "03-29T01:00 03-29T02:00 03-29T03:00"},
	} {
		if got := times(t, c.spec, c.after, 3); got != c.want {
			t.Errorf("%+v: %s, want %s", c.spec, got, c.want)
		}
	}
}

// H is the same for one name each time, spreads names, and is refused where things have no name.
func TestHIsDerivedFromTheName(t *testing.T) {
	minutes := map[int]bool{}
	for i := range 50 {
		s, err := Parse(Spec{Cron: "H 2 * * *", Key: fmt.Sprint("schedule ", i)})
		if err != nil {
			t.Fatal(err)
		}
		day := at(t, "2026-01-10T00:00:00Z")
		first, second := s.Next(day), s.Next(day.Add(24*time.Hour))
		if first.Hour() != 2 || second.Sub(first) != 24*time.Hour {
			t.Error(first, second)
		}
		minutes[first.Minute()] = true
	}
	if len(minutes) < 20 {
		t.Errorf("50 names have only %d minutes", len(minutes))
	}
	if _, err := Parse(Spec{Cron: "H 2 * * *"}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestAnInvalidScheduleIsRefused(t *testing.T) {
	for _, s := range []Spec{
		{Cron: "30 2 * *"}, {Cron: "30 2 * * * *"}, {Cron: "61 * * * *"}, {Cron: "every day"}, {Cron: "@reboot"}, {Cron: strings.Repeat("0,", 1000) + "0 3 * * *"}, {Cron: "0 0 31 2 *"},
		{Cron: "@every 5m"}, {Cron: "CRON_TZ=UTC 0 0 * * *"}, {Cron: "TZ=UTC @daily"}, {Cron: "@daily", Every: "6h"},
		{Cron: "@daily", TimeZone: "Mars/Olympus"}, {Cron: "@daily", TimeZone: "Local"}, {Every: "6h", TimeZone: "nowhere"},
		{Every: "30s"}, {Every: "-6h"}, {Every: "2 days"}, {Every: "0s"},
	} {
		if _, err := Parse(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	none, err := Parse(Spec{})
	if err != nil || !none.Never() || !none.Next(time.Now()).IsZero() {
		t.Error(none, err)
	}
}

func TestAnIntervalContinuesFromTheLastRunAndACronScheduleMakesUpForNothing(t *testing.T) {
	now := at(t, "2026-01-10T12:00:00Z")
	for _, c := range []struct {
		spec Spec
		last string
		want string
	}{
		{Spec{Every: "6h"}, "", "12:00"},
		{Spec{Every: "6h"}, "2026-01-10T08:00:00Z", "14:00"},
		{Spec{Every: "6h"}, "2026-01-09T08:00:00Z", "12:00"},
		{Spec{Every: "6h"}, "2026-01-11T08:00:00Z", "12:00"}, // the last run is in the future: the clock was wrong
		{Spec{Cron: "@hourly"}, "2026-01-09T08:00:00Z", "13:00"},
	} {
		s, err := Parse(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		var last time.Time
		if c.last != "" {
			last = at(t, c.last)
		}
		if got := s.First(now, last).UTC().Format("15:04"); got != c.want {
			t.Errorf("%+v after %s: %s, want %s", c.spec, c.last, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("30 2 * * *", "", "Europe/Berlin")
	f.Add("@daily", "", "")
	f.Add("", "6h", "UTC")
	f.Add("*/0 22-2 29 2 7", "", "Asia/Kolkata")
	f.Fuzz(func(t *testing.T, text, every, zone string) {
		s, err := Parse(Spec{Cron: text, Every: every, TimeZone: zone})
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		now := time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)
		if next := s.Next(now); !s.Never() && !next.After(now) {
			t.Fatalf("%q %q: %s", text, every, next)
		}
	})
}
