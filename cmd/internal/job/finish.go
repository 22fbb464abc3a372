package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/drayage/dray/cmd/internal/job/live"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// errStopped is the cause with which a run's context ends when its worker stops.
var errStopped = &fault.Fault{Kind: fault.Canceled, Op: "run job",
	Err: errors.New("this worker is stopping, and another one continues the job")}

// finish stores how r ended, if r still holds the job. If its worker stops and the job is not complete,
// the job is queued again.
func (q *Queue) finish(ctx context.Context, r *Run, out Outcome) {
	stopped := errors.Is(context.Cause(ctx), errStopped)
	out = validOutcome(out)
	if stopped && out.State != Done && out.State != Partly {
		_ = q.handBack(ctx, r)
		return
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), outage)
	defer done()
	for {
		err := q.conclude(ctx, r, out)
		switch {
		case err == nil, fault.Is(err, fault.Moved):
			return
		case fault.Is(err, fault.Unavailable):
			if !pause(ctx, 200*time.Millisecond) {
				return
			}
		case out.Failure != nil && out.Failure.Kind == fault.Internal && out.Report == nil:
			return // Even this minimal outcome cannot be written.
		default:
			text := "the result of the job could not be written: " + err.Error()
			out = Outcome{State: Failed, Failure: &Failure{Kind: fault.Internal, Text: text}}
			r.unwritten()
		}
	}
}

// validOutcome replaces an outcome with an unknown state by a failure. A runner must return Waiting or
// a final state.
func validOutcome(out Outcome) Outcome {
	if out.State == Waiting || out.State.Ended() {
		return out
	}
	text := fmt.Sprintf("the runner of the job returned the unknown state %q", out.State)
	return Outcome{State: Failed, Report: out.Report, Failure: &Failure{Kind: fault.Internal, Text: text}}
}

func (q *Queue) conclude(ctx context.Context, r *Run, out Outcome) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	items, lines := r.unwritten()
	err := q.db.Tx(ctx, func(tx *sql.Tx) error {
		held := r.held(tx.QueryRowContext(ctx, holds+q.db.ForUpdate(), r.Job.ID, r.Job.Attempt))
		asked := fault.Is(held, fault.Canceled)
		if held != nil && !asked {
			return held
		}
		if err := write(ctx, tx, r.Job.ID, items, lines); err != nil {
			return err
		}
		if err := q.setEnd(ctx, tx, r, afterCancel(out, asked)); err != nil {
			return err
		}
		return q.db.Notify(tx, live.Topic(r.Job.ID), "")
	})
	if err != nil {
		r.putBack(items, lines)
	}
	return q.db.Explain("end job", err)
}

// afterCancel returns the outcome of a job that may have been asked to stop. Such a job is Canceled
// unless it is Done, whatever cause its runner gives.
func afterCancel(out Outcome, asked bool) Outcome {
	if asked && out.State != Done {
		out.State = Canceled
		if out.Failure == nil || out.Failure.Kind != fault.Canceled {
			out.Failure = &Failure{Kind: fault.Canceled, Text: "canceled"}
		}
	}
	return out
}

func (q *Queue) setEnd(ctx context.Context, tx *sql.Tx, r *Run, out Outcome) error {
	now := q.now()
	r.mu.Lock()
	progress := string(r.progress)
	r.mu.Unlock()
	failure, err := encode(out.Failure)
	if err != nil {
		return err
	}
	ended, wake := int64(0), int64(0)
	switch {
	case out.State == Waiting:
		wake = store.Micros(now.Add(out.After))
	case out.State.Ended():
		ended = store.Micros(now)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE jobs SET state = $1, ended = $2, wake = $3, failure = $4, lease_until = 0,
			progress = CASE WHEN $5 <> '' THEN $5 ELSE progress END
		WHERE id = $6 AND attempt = $7 AND state = 'running'`,
		out.State, ended, wake, failure, progress, r.Job.ID, r.Job.Attempt); err != nil {
		return err
	}
	if out.Report != nil {
		if _, err := tx.ExecContext(ctx, `INSERT INTO job_reports (job, report) VALUES ($1, $2)
			ON CONFLICT (job) DO UPDATE SET report = excluded.report`, r.Job.ID, string(out.Report)); err != nil {
			return err
		}
	}
	if out.State == Queued {
		return q.db.Notify(tx, topicQueued, "")
	}
	if out.State == Waiting {
		return nil
	}
	return wipe(ctx, tx, r.Job.ID)
}

func wipe(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM job_secrets WHERE job = $1`, id)
	return err
}

func encode(f *Failure) (string, error) {
	if f == nil {
		return "", nil
	}
	b, err := json.Marshal(f)
	return string(b), err
}

// handBack queues r's job again at once, because its worker stops. That does not count as a loss of the
// job.
func (q *Queue) handBack(ctx context.Context, r *Run) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	r.Log("the worker is stopping; the job is queued again")
	return q.conclude(ctx, r, Outcome{State: Queued})
}
