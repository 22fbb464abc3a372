package job

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // the release image has no time zones of its own

	"github.com/netresearch/go-cron"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

const minEvery = time.Minute // the shortest interval that @every may name

// next returns the first time after t at which s is due. t may be in any time zone.
func next(s Schedule, t time.Time) (time.Time, error) {
	zone, err := time.LoadLocation(cmp.Or(s.Zone, "UTC"))
	if err != nil || s.Zone == "Local" {
		return time.Time{}, &fault.Fault{Kind: fault.Invalid, Op: "read time zone", Name: s.Zone,
			Hint: "write a name such as Europe/Berlin"}
	}
	const fields = cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow
	parser, err := cron.TryNewParser(fields | cron.Descriptor | cron.Hash | cron.DowOrDom)
	if err != nil {
		return time.Time{}, &fault.Fault{Kind: fault.Internal, Op: "read schedule", Name: s.Cron, Err: err}
	}
	rule, err := parser.WithMinEveryInterval(minEvery).ParseWithHashKey(s.Cron, cmp.Or(s.ID, s.Name))
	if err != nil {
		return time.Time{}, &fault.Fault{Kind: fault.Invalid, Op: "read schedule", Name: s.Cron, Err: err,
			Hint: "write five fields: minute hour day month weekday"}
	}
	if spec, ok := rule.(*cron.SpecSchedule); ok {
		spec.Location = zone // replaces a zone that "CRON_TZ=" in the rule may have set
	}
	due := rule.Next(t.In(zone))
	if spec, ok := rule.(*cron.SpecSchedule); ok && spec.Hour&everyHour == 0 && repeatedHour(due) {
		due = rule.Next(due)
	}
	if due.IsZero() {
		return due, &fault.Fault{Kind: fault.Invalid, Op: "read schedule", Name: s.Cron, Err: errors.New("it is never due")}
	}
	return due, nil
}

const everyHour = 1 << 63 // the bit that package cron sets in a field for *

// repeatedHour reports whether local clocks showed the same time one hour before due, as when summer
// time ends. A daily rule was already due then.
func repeatedHour(due time.Time) bool {
	return !due.IsZero() && due.Add(-time.Hour).Format(time.TimeOnly) == due.Format(time.TimeOnly)
}

// PutSchedule creates a schedule if s.ID is "", and else changes the schedule with that ID. The time at
// which it is due next is computed from now. also runs in the same transaction; nil does nothing.
//
// Errors are Invalid if a field is missing or wrong, NotFound if there is no schedule with the ID, and
// Conflict if the principal has another schedule of the same name.
func (q *Queue) PutSchedule(ctx context.Context, s Schedule, also func(*sql.Tx, Schedule) error) (Schedule, error) {
	if s.Name == "" || s.Kind == "" || s.Principal == "" {
		return Schedule{}, &fault.Fault{Kind: fault.Invalid, Op: "put schedule", Name: s.Name,
			Err: errors.New("the name, the kind or the principal is missing")}
	}
	now := q.now()
	fresh := s.ID == ""
	if fresh {
		s.ID = q.id(now)
	}
	due, err := next(s, now)
	if err != nil {
		return Schedule{}, err
	}
	err = q.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := q.putSchedule(ctx, tx, s, fresh, now, due); err != nil {
			return err
		}
		out, err := scanSchedule(tx.QueryRowContext(ctx, schedules+` WHERE s.id = $1`, s.ID))
		if err == nil && also != nil {
			err = also(tx, out)
		}
		s = out
		return err
	})
	if fault.Is(q.db.Explain("", err), fault.Conflict) {
		return Schedule{}, &fault.Fault{Kind: fault.Conflict, Op: "put schedule", Name: s.Name,
			Err: errors.New("a schedule of this name exists already")}
	}
	return s, q.db.Explain("put schedule", err)
}

func (q *Queue) putSchedule(ctx context.Context, tx *sql.Tx, s Schedule, fresh bool, now, due time.Time) error {
	paused := 0
	if s.Paused {
		paused = 1
	}
	if fresh {
		_, err := tx.ExecContext(ctx, `INSERT INTO schedules
			(id, name, kind, principal, cron, zone, request, source, target, paused, created, next_due)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			s.ID, s.Name, s.Kind, s.Principal, s.Cron, s.Zone, string(s.Request), s.Source, s.Target,
			paused, store.Micros(now), store.Micros(due))
		return err
	}
	res, err := tx.ExecContext(ctx, `UPDATE schedules
		SET name = $1, kind = $2, principal = $3, cron = $4, zone = $5, request = $6, source = $7, target = $8,
			paused = $9, next_due = $10
		WHERE id = $11`,
		s.Name, s.Kind, s.Principal, s.Cron, s.Zone, string(s.Request), s.Source, s.Target, paused, store.Micros(due), s.ID)
	return foundOne(res, err, s.ID)
}

// foundOne returns NotFound if a statement changed no schedule.
func foundOne(res sql.Result, err error, id string) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return missing("schedule", id)
}

const schedules = `SELECT s.id, s.name, s.kind, s.principal, s.cron, s.zone, s.request, s.source, s.target,
	s.paused, s.created, s.next_due, s.last_due, s.last_job, coalesce(j.state, '')
	FROM schedules s LEFT JOIN jobs j ON j.id = s.last_job`

func scanSchedule(row scanner) (Schedule, error) {
	var s Schedule
	var request string
	var paused, created, next, last int64
	if err := row.Scan(&s.ID, &s.Name, &s.Kind, &s.Principal, &s.Cron, &s.Zone, &request, &s.Source, &s.Target,
		&paused, &created, &next, &last, &s.LastJob, &s.LastState); err != nil {
		return Schedule{}, err
	}
	s.Request, s.Paused = raw(request), paused != 0
	s.Created, s.NextDue, s.LastDue = instant(created), instant(next), instant(last)
	return s, nil
}

// Schedules returns the schedules of a principal, sorted by name. With "" it returns those of all
// principals.
func (q *Queue) Schedules(ctx context.Context, principal string) ([]Schedule, error) {
	rows, err := q.db.QueryContext(ctx, schedules+` WHERE $1 = '' OR s.principal = $1 ORDER BY s.name, s.id`, principal)
	if err != nil {
		return nil, q.db.Explain("list schedules", err)
	}
	defer rows.Close()
	var all []Schedule
	for rows.Next() {
		s, err := scanSchedule(rows)
		if err != nil {
			return nil, q.db.Explain("list schedules", err)
		}
		all = append(all, s)
	}
	return all, q.db.Explain("list schedules", rows.Err())
}

// Schedule returns the schedule with the given ID. The error is NotFound if there is none.
func (q *Queue) Schedule(ctx context.Context, id string) (Schedule, error) {
	s, err := scanSchedule(q.db.QueryRowContext(ctx, schedules+` WHERE s.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Schedule{}, missing("schedule", id)
	}
	return s, q.db.Explain("get schedule", err)
}

// DeleteSchedule deletes a schedule. Its jobs stay. also runs in the same transaction; nil does nothing.
func (q *Queue) DeleteSchedule(ctx context.Context, id string, also func(*sql.Tx) error) error {
	return q.changeSchedule(ctx, id, also, `DELETE FROM schedules WHERE id = $1`)
}

// PauseSchedule stops a schedule from creating jobs until it is resumed. also is as in DeleteSchedule.
func (q *Queue) PauseSchedule(ctx context.Context, id string, also func(*sql.Tx) error) error {
	return q.changeSchedule(ctx, id, also, `UPDATE schedules SET paused = 1 WHERE id = $1`)
}

// ResumeSchedule resumes a paused schedule. What was due in the meantime is skipped. also is as in
// DeleteSchedule.
func (q *Queue) ResumeSchedule(ctx context.Context, id string, also func(*sql.Tx) error) error {
	s, err := q.Schedule(ctx, id)
	if err != nil {
		return err
	}
	due, err := next(s, q.now())
	if err != nil {
		return err
	}
	const resume = `UPDATE schedules SET paused = 0, next_due = $2 WHERE id = $1`
	return q.changeSchedule(ctx, id, also, resume, store.Micros(due))
}

func (q *Queue) changeSchedule(
	ctx context.Context, id string, also func(*sql.Tx) error, query string, args ...any,
) error {
	err := q.db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, query, append([]any{id}, args...)...)
		if err := foundOne(res, err, id); err != nil {
			return err
		}
		if also != nil {
			return also(tx)
		}
		return nil
	})
	return q.db.Explain("change schedule", err)
}

// RunSchedule creates the schedule's job now, also if the schedule is paused. It does not change when
// the schedule is due next. also runs in the same transaction; nil does nothing.
func (q *Queue) RunSchedule(ctx context.Context, id string, also func(*sql.Tx, Job) error) (Job, error) {
	s, err := q.Schedule(ctx, id)
	if err != nil {
		return Job{}, err
	}
	now := q.now()
	sub := firing(s, q.id(now), now)
	if also != nil {
		sub.Also = func(_ context.Context, tx *sql.Tx, j Job) error { return also(tx, j) }
	}
	var j Job
	err = q.db.Tx(ctx, func(tx *sql.Tx) (err error) {
		if j, _, err = q.insert(ctx, tx, sub); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, setLast, j.ID, store.Micros(now), id)
		return foundOne(res, err, id)
	})
	return j, q.db.Explain("run schedule", err)
}

const setLast = `UPDATE schedules SET last_job = $1, last_due = $2 WHERE id = $3`

// firing returns the submission of the job that s creates.
func firing(s Schedule, id string, now time.Time) submission {
	return submission{id: id, now: now, Submission: Submission{
		Kind: s.Kind, Principal: s.Principal, Request: s.Request, Source: s.Source, Target: s.Target, Schedule: s.ID,
	}}
}

// fireDue creates the jobs of the schedules that are due. Several processes may call it at the same
// time. The transaction that creates a job also advances next_due, and a unique index allows each
// (schedule, due) only once.
func (q *Queue) fireDue(ctx context.Context) error {
	now := q.now()
	rows, err := q.db.QueryContext(ctx,
		schedules+` WHERE s.paused = 0 AND s.next_due <= $1 ORDER BY s.next_due LIMIT 100`, store.Micros(now))
	if err != nil {
		return err
	}
	defer rows.Close()
	var due []Schedule
	for rows.Next() {
		s, err := scanSchedule(rows)
		if err != nil {
			return err
		}
		due = append(due, s)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, s := range due {
		if err := q.fire(ctx, s, now); err != nil {
			return err
		}
	}
	return nil
}

// fire advances s to its next time and creates its job. It creates no job if s is overdue by more than
// Config.Late, or if the last job of s has not ended.
func (q *Queue) fire(ctx context.Context, s Schedule, now time.Time) error {
	due, err := next(s, now)
	if err != nil { // It was valid once. Its zone no longer exists, or its last date has passed.
		return q.changeSchedule(ctx, s.ID, nil, `UPDATE schedules SET paused = 1 WHERE id = $1`)
	}
	missed := now.Sub(s.NextDue) > q.cfg.Late
	busy := s.LastState != "" && !s.LastState.Ended()
	sub := firing(s, q.id(now), now)
	sub.due = s.NextDue
	return q.db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE schedules SET next_due = $1 WHERE id = $2 AND next_due = $3 AND paused = 0`,
			store.Micros(due), s.ID, store.Micros(s.NextDue))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 || missed || busy {
			return err // another process fired it, or no job is to be created
		}
		j, _, err := q.insert(ctx, tx, sub)
		if err != nil {
			return fmt.Errorf("fire schedule %s: %w", s.ID, err)
		}
		_, err = tx.ExecContext(ctx, setLast, j.ID, store.Micros(s.NextDue), s.ID)
		return err
	})
}
