package job

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/schedule"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// rule returns the rule of s, with what H in it means for this schedule.
func rule(s Schedule) (schedule.Schedule, error) {
	spec := schedule.Spec{Cron: s.Cron, TimeZone: s.Zone, Key: cmp.Or(s.ID, s.Name)}
	if every, ok := strings.CutPrefix(s.Cron, "@every "); ok {
		spec.Cron, spec.Every = "", strings.TrimSpace(every)
	}
	r, err := schedule.Parse(spec)
	if err == nil && r.Never() {
		err = &fault.Fault{Kind: fault.Invalid, Op: "read schedule", Name: s.Name, Err: errors.New("the rule is missing"),
			Hint: "write five fields: minute hour day month weekday"}
	}
	return r, err
}

// Next returns the first time after t at which s is due. An interval is counted from t. The error is Invalid
// if the rule cannot be read, or if it is never due.
func Next(s Schedule, t time.Time) (time.Time, error) {
	r, err := rule(s)
	if err != nil {
		return time.Time{}, err
	}
	due := r.Next(t)
	if due.IsZero() {
		return due, &fault.Fault{Kind: fault.Invalid, Op: "read schedule", Name: s.Cron, Err: errors.New("it is never due")}
	}
	return due, nil
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
	due, err := Next(s, now)
	if err != nil {
		return Schedule{}, err
	}
	err = q.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := q.putSchedule(ctx, tx, s, fresh, now, due); err != nil {
			return err
		}
		if err := q.engine.Order(ctx, tx, Order{Kind: OrderSchedule, ID: s.ID}); err != nil {
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
	q.engine.Kick()
	return s, q.db.Explain("put schedule", err)
}

func (q *Queue) putSchedule(ctx context.Context, tx *sql.Tx, s Schedule, fresh bool, now, due time.Time) error {
	paused := 0
	if s.Paused {
		paused = 1
	}
	if fresh {
		_, err := tx.ExecContext(ctx, `INSERT INTO schedules
			(id, name, kind, principal, cron, zone, request, source, target, pool, paused, created, next_due)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			s.ID, s.Name, s.Kind, s.Principal, s.Cron, s.Zone, string(s.Request), s.Source, s.Target, s.Pool,
			paused, store.Micros(now), store.Micros(due))
		if err != nil {
			return err
		}
		return q.mayKeep(ctx, tx, s.Principal)
	}
	res, err := tx.ExecContext(ctx, `UPDATE schedules
		SET name = $1, kind = $2, principal = $3, cron = $4, zone = $5, request = $6, source = $7, target = $8,
			pool = $9, paused = $10, next_due = $11
		WHERE id = $12`,
		s.Name, s.Kind, s.Principal, s.Cron, s.Zone, string(s.Request), s.Source, s.Target, s.Pool, paused,
		store.Micros(due), s.ID)
	return foundOne(res, err, s.ID)
}

// mayKeep returns Refused if a schedule that was just inserted is more than its principal may have. Two that are
// created at the same time may be one too many.
func (q *Queue) mayKeep(ctx context.Context, tx *sql.Tx, principal string) error {
	var have int
	row := tx.QueryRowContext(ctx, `SELECT count(*) FROM schedules WHERE principal = $1`, principal)
	if err := row.Scan(&have); err != nil || have <= q.cfg.SchedulesMost {
		return err
	}
	return &fault.Fault{Kind: fault.Refused, Op: "put schedule", Name: principal,
		Err:  fmt.Errorf("the principal has %d schedules", q.cfg.SchedulesMost),
		Hint: "delete some of them, or raise server.per-principal.schedules"}
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

const schedules = `SELECT s.id, s.name, s.kind, s.principal, s.cron, s.zone, s.request, s.source, s.target, s.pool,
	s.paused, s.created, s.next_due, s.last_due, s.last_job, coalesce(j.state, '')
	FROM schedules s LEFT JOIN jobs j ON j.id = s.last_job`

func scanSchedule(row scanner) (Schedule, error) {
	var s Schedule
	var request string
	var paused, created, next, last int64
	if err := row.Scan(&s.ID, &s.Name, &s.Kind, &s.Principal, &s.Cron, &s.Zone, &request, &s.Source, &s.Target, &s.Pool,
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
	all, err := scanSchedules(rows)
	return all, q.db.Explain("list schedules", err)
}

func scanSchedules(rows *sql.Rows) ([]Schedule, error) {
	defer rows.Close()
	var all []Schedule
	for rows.Next() {
		s, err := scanSchedule(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
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
	due, err := Next(s, q.now())
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
			if err := also(tx); err != nil {
				return err
			}
		}
		return q.engine.Order(ctx, tx, Order{Kind: OrderSchedule, ID: id})
	})
	q.engine.Kick()
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
	q.engine.Kick()
	return j, q.db.Explain("run schedule", err)
}

const setLast = `UPDATE schedules SET last_job = $1, last_due = $2 WHERE id = $3`

// firing returns the submission of the job that s creates.
func firing(s Schedule, id string, now time.Time) submission {
	return submission{id: id, now: now, Submission: Submission{
		Kind: s.Kind, Principal: s.Principal, Request: s.Request, Source: s.Source, Target: s.Target, Pool: s.Pool,
		Schedule: s.ID,
	}}
}

// Fire creates the job of a schedule that is due. It creates none if the schedule is paused or gone, if due is
// not one of its times, if it is overdue by more than Config.Late, or if its last job has not ended. fresh is
// true for a new job. If the job for this time exists already, Fire returns it, and fresh is false.
//
// Whatever it decides, the schedule's next time is then after due. The errors are those of the database.
func (q *Queue) Fire(ctx context.Context, id string, due time.Time) (j Job, fresh bool, err error) {
	now := q.now()
	sub := submission{id: q.id(now), now: now, due: due}
	err = q.db.Tx(ctx, func(tx *sql.Tx) error {
		j, fresh, err = q.fire(ctx, tx, id, sub)
		return err
	})
	if err != nil {
		return Job{}, false, q.db.Explain("fire schedule", err)
	}
	q.engine.Kick()
	return j, fresh, nil
}

func (q *Queue) fire(ctx context.Context, tx *sql.Tx, id string, sub submission) (Job, bool, error) {
	now, due := sub.now, sub.due
	// The schedule is locked before its last job is read.
	var locked string
	err := tx.QueryRowContext(ctx, `SELECT id FROM schedules WHERE id = $1`+q.db.ForUpdate(), id).Scan(&locked)
	if errors.Is(err, sql.ErrNoRows) {
		return Job{}, false, nil
	}
	if err != nil {
		return Job{}, false, err
	}
	s, err := scanSchedule(tx.QueryRowContext(ctx, schedules+` WHERE s.id = $1`, id))
	if err != nil {
		return Job{}, false, err
	}
	j, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM jobs WHERE schedule = $1 AND due = $2 AND due > 0`,
		id, store.Micros(due)))
	there := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) || there && due.Before(s.NextDue) {
		return j, false, err
	}
	if s.Paused || !isDue(s, due) {
		return Job{}, false, nil
	}
	following, err := following(s, due, now)
	if err != nil { // It was valid once. Its zone no longer exists, or its last date has passed.
		if _, err := tx.ExecContext(ctx, `UPDATE schedules SET paused = 1 WHERE id = $1`, id); err != nil {
			return Job{}, false, err
		}
		return Job{}, false, q.engine.Order(ctx, tx, Order{Kind: OrderSchedule, ID: id})
	}
	if _, err := tx.ExecContext(ctx, `UPDATE schedules SET next_due = $1 WHERE id = $2`,
		store.Micros(following), id); err != nil {
		return Job{}, false, err
	}
	if there || now.Sub(due) > q.cfg.Late || s.LastState != "" && !s.LastState.Ended() {
		return j, false, nil
	}
	sub.Submission = firing(s, sub.id, now).Submission
	if j, _, err = q.insert(ctx, tx, sub); err != nil {
		return Job{}, false, fmt.Errorf("fire schedule %s: %w", id, err)
	}
	_, err = tx.ExecContext(ctx, setLast, j.ID, store.Micros(due), id)
	return j, true, err
}

// isDue reports whether due is a time of s that has not been decided yet.
func isDue(s Schedule, due time.Time) bool {
	if due.Equal(s.NextDue) {
		return true
	}
	if due.Before(s.NextDue) {
		return false
	}
	r, err := rule(s)
	if err != nil {
		return false
	}
	if every := r.Every(); every > 0 {
		return due.Sub(s.NextDue)%every == 0
	}
	return r.Next(due.Add(-time.Microsecond)).Equal(due)
}

// following returns the first time of s after due that is not missed. The times of an interval stay in step
// with due.
func following(s Schedule, due, now time.Time) (time.Time, error) {
	r, err := rule(s)
	if err != nil {
		return time.Time{}, err
	}
	if every := r.Every(); every > 0 {
		missed := max(now.Sub(due), 0)
		return due.Add(missed - missed%every + every), nil
	}
	if now.After(due) {
		due = now
	}
	return Next(s, due)
}

// fireDue fires the schedules that are due.
func (q *Queue) fireDue(ctx context.Context, now time.Time) error {
	rows, err := q.db.QueryContext(ctx,
		schedules+` WHERE s.paused = 0 AND s.next_due <= $1 ORDER BY s.next_due LIMIT 100`, store.Micros(now))
	if err != nil {
		return err
	}
	due, err := scanSchedules(rows)
	var errs []error
	for _, s := range due {
		if _, _, err := q.Fire(ctx, s.ID, s.NextDue); err != nil {
			errs = append(errs, err) // it must not keep the others from firing
		}
	}
	return errors.Join(append(errs, err)...)
}

// hasten makes schedules due earlier, if by their rules and the clock they are: the clock was set back.
func (q *Queue) hasten(ctx context.Context, now time.Time) error {
	rows, err := q.db.QueryContext(ctx, schedules+` WHERE s.paused = 0`)
	if err != nil {
		return err
	}
	all, err := scanSchedules(rows)
	if err != nil {
		return err
	}
	for _, s := range all {
		due, err := Next(s, now)
		if err != nil || !due.Before(s.NextDue) {
			continue // a rule that is no longer valid is noticed when it is due
		}
		if _, err := q.db.ExecContext(ctx, `UPDATE schedules SET next_due = $1 WHERE id = $2 AND next_due = $3`,
			store.Micros(due), s.ID, store.Micros(s.NextDue)); err != nil {
			return err
		}
	}
	return nil
}
