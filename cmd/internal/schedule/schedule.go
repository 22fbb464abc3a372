// Package schedule reads when something is to be done again and again, and says when the
// next time is. It holds no clock: times are values handed in.
package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the release image has no time zones of its own

	cron "github.com/netresearch/go-cron"

	"github.com/drayage/dray/fault"
)

// Spec is a schedule as it is written. The zero Spec is none.
type Spec struct {
	// Cron is five fields, as crontab(5) has them, or one of @hourly, @daily, @midnight,
	// @weekly, @monthly, @yearly and @annually.
	Cron string `json:"schedule,omitempty"`

	// Every is the time from one beginning to the next, as "6h" or "1h30m"; at least
	// Least. It excludes Cron.
	Every string `json:"every,omitempty"`

	// TimeZone is a name such as "Europe/Berlin" in which Cron is meant; "" is UTC.
	TimeZone string `json:"time-zone,omitempty"`
}

// Least is the shortest time between two beginnings that Every may ask for.
const Least = time.Minute

// Schedule says when. The zero Schedule is never.
type Schedule struct {
	cron   cron.Schedule
	zone   *time.Location
	hourly bool // whatever the hour: due by the time that passes, not by what clocks show
	every  time.Duration
}

// Parse reads s; the zero Spec is the zero Schedule. The error is Invalid.
func Parse(s Spec) (Schedule, error) {
	if s.Cron != "" && s.Every != "" {
		return Schedule{}, invalid(s.Every, "a schedule and an interval", "keep one of schedule and every")
	}
	zone, err := Zone(s.TimeZone)
	if err != nil {
		return Schedule{}, err
	}
	switch {
	case s.Every != "":
		every, err := time.ParseDuration(s.Every)
		if err != nil {
			return Schedule{}, invalid(s.Every, "not a duration", "write 30m, 6h or 1h30m; what is due by days is a schedule such as @daily")
		}
		if every < Least {
			return Schedule{}, invalid(s.Every, "less than a minute", "write 1m or more")
		}
		return Schedule{every: every}, nil
	case s.Cron == "":
		return Schedule{}, nil
	}
	return parseCron(s.Cron, zone)
}

// never is how far ahead a schedule has to have a time: 29 February comes round within 8 years.
const never = 9

func parseCron(text string, zone *time.Location) (Schedule, error) {
	const hint = "write MINUTE HOUR DAY MONTH WEEKDAY as in crontab, or @hourly, @daily, @weekly, @monthly, @yearly"
	// The parser would take a zone and an interval in the text itself, beside the keys for them.
	if strings.Contains(text, "=") || strings.HasPrefix(text, "@every") {
		return Schedule{}, invalid(text, "not a schedule", hint)
	}
	// crontab(5): where both days are restricted, either is enough.
	p, err := cron.TryNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowOrDom | cron.Descriptor)
	if err != nil {
		return Schedule{}, &fault.Fault{Kind: fault.Internal, Op: "read schedule", Name: text, Err: err}
	}
	c, err := p.WithMaxSearchYears(never).Parse(text)
	if err != nil {
		return Schedule{}, invalid(text, "not a schedule: "+err.Error(), hint)
	}
	fields := strings.Fields(text)
	s := Schedule{cron: c, zone: zone, hourly: text == "@hourly" || len(fields) > 1 && strings.HasPrefix(fields[1], "*")}
	if s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, invalid(text, "no day is like this", "")
	}
	return s, nil
}

// Zone reads the name of a time zone; "" is UTC. The error is Invalid.
func Zone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "local") { // what that is depends on who runs it
		return nil, invalid(name, "not the name of a time zone", "write a name such as Europe/Berlin")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, invalid(name, "not the name of a time zone that this machine knows", "write UTC, or a name such as Europe/Berlin")
	}
	return zone, nil
}

func invalid(name, cause, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read schedule", Name: fmt.Sprintf("%q", name), Err: errors.New(cause), Hint: hint}
}

// Never reports whether s is the zero Schedule.
func (s Schedule) Never() bool { return s.cron == nil && s.every == 0 }

// Next is the first time after `after`; the zero time where there is none. An interval
// counts from `after`, which is when the last run began. Where clocks are put forward,
// what was due in the hour that is left out is due when it is over; where they are put
// back, what is due in the hour that comes twice is done the first time alone.
func (s Schedule) Next(after time.Time) time.Time {
	switch {
	case s.every > 0:
		return after.Add(s.every)
	case s.cron == nil:
		return time.Time{}
	}
	if s.hourly {
		return s.cron.Next(after.In(s.zone))
	}
	// The library goes by clocks alone: what is due at 02:30 would be done twice on the night
	// when that comes twice. So it is asked for what clocks show, as if that were UTC.
	for wall := shown(after, s.zone); ; {
		if wall = s.cron.Next(wall); wall.IsZero() {
			return wall
		}
		if next := real(wall, s.zone); next.After(after) {
			return next
		}
	}
}

// shown is what clocks in zone show at t, as a time in UTC.
func shown(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// real is when clocks in zone show wall: the first time where they do twice, the end of
// what is left out where they never do.
func real(wall time.Time, zone *time.Location) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	begin, end := t.ZoneBounds()
	switch now := shown(t, zone); {
	case now.After(wall):
		return begin
	case now.Before(wall):
		return end
	case begin.IsZero():
		return t
	}
	_, before := begin.Add(-1).Zone()
	if first := wall.Add(-time.Duration(before) * time.Second); first.Before(begin) {
		return first.In(zone)
	}
	return t
}

// First is when something is due at first: now is when it is looked at, and last when it
// began last, zero where nobody knows. An interval that has passed is due at once; what a
// cron schedule missed is not made up for.
func (s Schedule) First(now, last time.Time) time.Time {
	if s.every == 0 {
		return s.Next(now)
	}
	if next := last.Add(s.every); !last.IsZero() && !last.After(now) && next.After(now) {
		return next
	}
	return now
}
