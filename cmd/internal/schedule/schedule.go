// Package schedule reads schedules such as "30 3 * * *" or every 6h, and computes when they are due next.
// It has no clock; the caller passes the times.
package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the release image has no time zones of its own

	cron "github.com/netresearch/go-cron"

	"github.com/drayage/dray/fault"
)

// Spec is the written form of a schedule. The zero Spec means no schedule.
type Spec struct {
	// Cron has five fields, as in crontab(5), or is one of @hourly, @daily, @midnight,
	// @weekly, @monthly, @yearly and @annually.
	Cron string `json:"schedule,omitempty"`

	// Every is the time from the start of one run to the start of the next, as "6h" or "1h30m". It is at
	// least Least. Every and Cron exclude each other.
	Every string `json:"every,omitempty"`

	// TimeZone is the name of the time zone of Cron, such as "Europe/Berlin"; "" means UTC.
	TimeZone string `json:"time-zone,omitempty"`

	// Key is the name of what is scheduled. If it is set, Cron may contain H, which means a minute or an hour
	// that is derived from Key, so that not everything is due at once.
	Key string `json:"-"`
}

// Least is the shortest interval that Every allows.
const Least = time.Minute

// Schedule computes the times at which something is due. The zero Schedule is never due.
type Schedule struct {
	cron   cron.Schedule
	zone   *time.Location
	hourly bool // whether it is due in every hour; then it follows elapsed time, and not what clocks show
	every  time.Duration
}

// Parse reads s. The zero Spec gives the zero Schedule. The error is Invalid.
func Parse(s Spec) (Schedule, error) {
	if s.Cron != "" && s.Every != "" {
		return Schedule{}, invalid(s.Every,
			"both a schedule and an interval are given", "keep only one of schedule and every")
	}
	zone, err := Zone(s.TimeZone)
	if err != nil {
		return Schedule{}, err
	}
	switch {
	case s.Every != "":
		every, err := time.ParseDuration(s.Every)
		if err != nil {
			return Schedule{}, invalid(s.Every,
				"not a duration", "write 30m, 6h or 1h30m; for whole days, use a schedule such as @daily")
		}
		if every < Least {
			return Schedule{}, invalid(s.Every, "less than a minute", "write 1m or more")
		}
		return Schedule{every: every}, nil
	case s.Cron == "":
		return Schedule{}, nil
	}
	return parseCron(s.Cron, s.Key, zone)
}

// maxYears is a number of years: a schedule must be due within this time. 29 February occurs at least
// once in 8 years.
const maxYears = 9

// maxText limits the bytes of a schedule. One that lists every minute, hour, day, month and weekday has 341.
const maxText = 1000

func parseCron(text, key string, zone *time.Location) (Schedule, error) {
	const hint = "write MINUTE HOUR DAY MONTH WEEKDAY as in crontab, or @hourly, @daily, @weekly, @monthly, @yearly"
	if len(text) > maxText {
		return Schedule{}, invalid(text[:40]+"…", "longer than "+strconv.Itoa(maxText)+" bytes", hint)
	}
	// The parser would accept a time zone and an interval in the text, which have their own keys.
	if strings.Contains(text, "=") || strings.HasPrefix(text, "@every") {
		return Schedule{}, invalid(text, "not a schedule", hint)
	}
	// As in crontab(5), if both the day of the month and the day of the week are restricted, it is due
	// when either matches.
	const five = cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow
	options := five | cron.DowOrDom | cron.Descriptor
	if key != "" {
		options |= cron.Hash
	}
	p, err := cron.TryNewParser(options)
	if err != nil {
		return Schedule{}, &fault.Fault{Kind: fault.Internal, Op: "read schedule", Name: text, Err: err}
	}
	p = p.WithMaxSearchYears(maxYears)
	c, err := p.ParseWithHashKey(text, key)
	if err != nil {
		return Schedule{}, invalid(text, "not a schedule: "+err.Error(), hint)
	}
	fields := strings.Fields(text)
	s := Schedule{cron: c, zone: zone, hourly: text == "@hourly" || len(fields) > 1 && strings.HasPrefix(fields[1], "*")}
	if s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, invalid(text, "it is never due", "")
	}
	return s, nil
}

// Zone reads the name of a time zone; "" is UTC. The error is Invalid.
func Zone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "local") { // its meaning would depend on the machine
		return nil, badZone(name, "not the name of a time zone", "write a name such as Europe/Berlin")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, badZone(name,
			"not the name of a time zone that this machine knows", "write UTC, or a name such as Europe/Berlin")
	}
	return zone, nil
}

func invalid(name, cause, hint string) error { return misread("read schedule", name, cause, hint) }

func badZone(name, cause, hint string) error { return misread("read time zone", name, cause, hint) }

func misread(op, name, cause, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: op, Name: fmt.Sprintf("%q", name), Err: errors.New(cause), Hint: hint}
}

// Never reports whether s is the zero Schedule, which is never due.
func (s Schedule) Never() bool { return s.cron == nil && s.every == 0 }

// Every returns the interval of s, or 0 if s is not an interval.
func (s Schedule) Every() time.Duration { return s.every }

// Next returns the first time after `after` at which s is due, or the zero time if there is none. An
// interval is added to `after`, which must be the start of the last run.
//
// When clocks are set forward, a run that was due in the skipped hour is due at the end of that hour.
// When clocks are set back, a run that is due in the repeated hour is due only the first time.
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
	// The library follows clocks only, so a run at 02:30 would be due twice in the night in which 02:30
	// occurs twice. To avoid that, Next gives it the time that clocks show as if it were UTC.
	for wall := wallClock(after, s.zone); ; {
		if wall = s.cron.Next(wall); wall.IsZero() {
			return wall
		}
		if next := instantOf(wall, s.zone); next.After(after) {
			return next
		}
	}
}

// wallClock returns the time that clocks in zone show at t, as a time in UTC.
func wallClock(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instantOf returns the time at which clocks in zone show wall. If they show it twice, it returns the first
// time. If they never show it, it returns the end of the skipped hour.
func instantOf(wall time.Time, zone *time.Location) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	begin, end := t.ZoneBounds()
	switch now := wallClock(t, zone); {
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

// First returns when s is due for the first time after a program has started. now is the present time,
// and last is when the last run began, or zero if that is unknown. An interval that has already passed
// is due at once. A run that a cron schedule missed is not made up for.
func (s Schedule) First(now, last time.Time) time.Time {
	if s.every == 0 {
		return s.Next(now)
	}
	if next := last.Add(s.every); !last.IsZero() && !last.After(now) && next.After(now) {
		return next
	}
	return now
}
