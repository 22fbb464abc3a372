package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// errStopped is the cause with which a run's context ends when its process stops.
var errStopped = &fault.Fault{Kind: fault.Canceled, Op: "run job",
	Err: errors.New("this worker is stopping, and another one continues the job")}

// finish stores how r ended, if r still has the job, and returns what it stored. If the process stops and
// the job is not complete, the job is queued again; one that was divided stays so. A run that its engine has
// lost stores nothing but Done: what else it says is the effect of the loss.
func (q *Queue) finish(ctx context.Context, r *Run, out Outcome) Outcome {
	limit := outage
	switch cause := context.Cause(ctx); {
	case fault.Is(cause, fault.Moved) && out.State != Done:
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer done()
		_ = q.db.Tx(ctx, func(tx *sql.Tx) error { return q.busy(ctx, tx, -1) }) // the next beat corrects it
		return Outcome{}
	case errors.Is(cause, errStopped) && out.State != Done && out.State != Partly:
		r.Log("the worker is stopping; the job is queued again")
		out, limit = Outcome{State: Queued}, 2*time.Second // the database may be what keeps the process from stopping
		if r.resumed {
			out.State = Running
		}
	default:
		out = validOutcome(out)
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer done()
	for {
		stored, err := q.conclude(ctx, r, out)
		switch {
		case err == nil:
			return stored
		case fault.Is(err, fault.Moved):
			return Outcome{}
		case fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Canceled):
			if !pause(ctx, 200*time.Millisecond) {
				return Outcome{}
			}
		case out.Failure != nil && out.Failure.Kind == fault.Internal && out.Report == nil:
			return Outcome{} // Even this minimal outcome cannot be written.
		default:
			text := "the result of the job could not be written: " + err.Error()
			out = Outcome{State: Failed, Failure: &Failure{Kind: fault.Internal, Text: text}}
			r.drop()
		}
	}
}

// validOutcome replaces an outcome with an unknown state by a failure. A runner must return Waiting or
// a final state. Running says that the job was divided.
func validOutcome(out Outcome) Outcome {
	if out.State == Waiting || out.State == Running || out.State.Ended() {
		return out
	}
	text := fmt.Sprintf("the runner of the job returned the unknown state %q", out.State)
	return Outcome{State: Failed, Report: out.Report, Failure: &Failure{Kind: fault.Internal, Text: text}}
}

func (q *Queue) conclude(ctx context.Context, r *Run, out Outcome) (Outcome, error) {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	w := r.unwritten()
	var stored Outcome
	err := q.db.Tx(ctx, func(tx *sql.Tx) error {
		err := r.write(ctx, tx, w)
		asked := fault.Is(err, fault.Canceled)
		if err != nil && !asked {
			return err
		}
		stored = afterCancel(out, asked)
		if r.Part > 0 {
			err = r.endPart(ctx, tx, stored)
		} else {
			err = q.setEnd(ctx, tx, r, stored)
		}
		if err != nil {
			return err
		}
		return q.busy(ctx, tx, -1)
	})
	switch {
	case err == nil:
		r.live.Stored(r.seq)
		if r.Part > 0 {
			q.progressed(r.Job.ID)
		}
		q.bell.Ring(r.Job.ID)
	case fault.Is(err, fault.Moved):
		_ = q.db.Tx(ctx, func(tx *sql.Tx) error { return q.busy(ctx, tx, -1) }) // else it counts one too many
	default:
		r.putBack(w)
	}
	return stored, q.db.Explain("end job", err)
}

// afterCancel returns the outcome of a job that may have been asked to stop. Such a job is Canceled
// unless it is Done, whatever cause its runner gives.
func afterCancel(out Outcome, asked bool) Outcome {
	if asked && out.State != Done {
		out.State = Canceled
		if out.Failure == nil || out.Failure.Kind != fault.Canceled {
			out.Failure = whyCanceled()
		}
	}
	return out
}

func whyCanceled() *Failure { return &Failure{Kind: fault.Canceled, Text: "canceled"} }

func (q *Queue) setEnd(ctx context.Context, tx *sql.Tx, r *Run, out Outcome) error {
	if out.Report != nil {
		if _, err := tx.ExecContext(ctx, `INSERT INTO job_reports (job, report) VALUES ($1, $2)
			ON CONFLICT (job) DO UPDATE SET report = excluded.report`, r.Job.ID, string(out.Report)); err != nil {
			return err
		}
	}
	if out.State.Ended() {
		why, err := out.Failure, error(nil)
		if r.resumed {
			why, err = undone(ctx, tx, r.Job.ID, why)
		}
		if err != nil {
			return err
		}
		j := r.Job
		return q.end(ctx, tx, &j, out.State, why)
	}
	wake := int64(0)
	if out.State == Waiting {
		wake = store.Micros(q.now().Add(out.After))
	}
	failure, err := encode(out.Failure)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE jobs SET state = $1, fence = 0, wake = $2, failure = $3 WHERE id = $4`,
		out.State, wake, failure, r.Job.ID)
	return err
}

// end ends a job whose row the transaction has locked. It deletes what only a job needs that has not ended.
func (q *Queue) end(ctx context.Context, tx *sql.Tx, j *Job, state State, why *Failure) error {
	j.State, j.Ended, j.Failure = state, instant(store.Micros(q.now())), why
	failure, err := encode(why)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE jobs
		SET state = $1, ended = $2, failure = $3, wake = 0, fence = 0 WHERE id = $4`,
		state, store.Micros(j.Ended), failure, j.ID); err != nil {
		return err
	}
	for _, table := range []string{"job_secrets", "job_parts", "job_files"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE job = $1`, j.ID); err != nil {
			return err
		}
	}
	return nil
}

func encode(f *Failure) (string, error) {
	if f == nil {
		return "", nil
	}
	b, err := json.Marshal(f)
	return string(b), err
}

// Cancel requests that a job stops. The request is durable. A job that is queued or waiting is Canceled
// when Cancel returns. A job that runs has CancelRequested set, and ends soon. A job that has ended does
// not change, which is no error.
//
// also runs in the same transaction, unless the job has ended; nil does nothing. The error is NotFound
// if there is no such job, or that of also or of the database.
func (q *Queue) Cancel(ctx context.Context, id string, also func(*sql.Tx) error) (Job, error) {
	var j Job
	err := q.db.Tx(ctx, func(tx *sql.Tx) (err error) {
		j, err = scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM jobs WHERE id = $1`+q.db.ForUpdate(), id))
		if errors.Is(err, sql.ErrNoRows) {
			return missing("job", id)
		}
		if err != nil || j.State.Ended() {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		j.CancelRequested = true
		if _, err := tx.ExecContext(ctx, `UPDATE jobs SET cancel_requested = 1 WHERE id = $1`, id); err != nil {
			return err
		}
		if j.State != Running {
			if err := q.end(ctx, tx, &j, Canceled, whyCanceled()); err != nil {
				return err
			}
		}
		return q.engine.Order(ctx, tx, Order{Kind: OrderCancel, ID: id})
	})
	if err != nil {
		return j, q.db.Explain("cancel job", err)
	}
	q.engine.Kick()
	q.bell.Ring(id)
	if j.State == Running {
		for _, r := range q.local(id) {
			r.AskCancel()
		}
	}
	return j, nil
}
