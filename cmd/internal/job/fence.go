package job

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/drayage/dray/fault"
)

// Fence asks the database, and the engine if it has a fence, whether this attempt still has the job. Call it
// right before an action that must not be done twice. The error is nil if the attempt has the job, Canceled
// if a cancel was requested, Moved if another attempt has the job, and Unavailable if the database or the
// engine does not answer for a minute.
func (r *Run) Fence(ctx context.Context) error {
	return retryOutage(ctx, func() error {
		query, args := r.holds("")
		if err := r.held(r.q.db.QueryRowContext(ctx, query, args...)); err != nil || r.engine == nil {
			return err
		}
		return r.engine(ctx)
	})
}

// outage is how long a result is retried if the database does not answer. After that the job runs again.
const outage = time.Minute

// retryOutage repeats f while the database does not answer, for up to a minute. The database may be
// restarting, and the work so far would be lost.
func retryOutage(ctx context.Context, f func() error) error {
	until := time.Now().Add(outage)
	for {
		err := f()
		if !fault.Is(err, fault.Unavailable) || time.Now().After(until) || !pause(ctx, 300*time.Millisecond) {
			return err
		}
	}
}

// holds returns a query for the row of the job, or of the part, if this attempt has it. Its columns are those
// of first, whether a cancel was requested, and how far the attempt is written.
func (r *Run) holds(first string) (query string, args []any) {
	if r.Part == 0 {
		return `SELECT ` + first + `j.cancel_requested, j.wrote FROM jobs j
			WHERE j.id = $1 AND j.fence = $2 AND j.state = 'running'`, []any{r.Job.ID, r.fence}
	}
	return `SELECT ` + first + `j.cancel_requested, p.wrote FROM jobs j JOIN job_parts p ON p.job = j.id
		WHERE j.id = $1 AND p.fence = $2 AND p.part = $3 AND j.state = 'running'`, []any{r.Job.ID, r.fence, r.Part}
}

func (r *Run) held(row *sql.Row) error {
	var cancel, wrote int64
	err := row.Scan(&cancel, &wrote)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return r.moved()
	case err != nil:
		return r.q.db.Explain("ask who has the job", err)
	case cancel != 0:
		return canceled(r.Job.ID)
	}
	return nil
}

func (r *Run) moved() error {
	return &fault.Fault{Kind: fault.Moved, Op: "run job", Name: r.Job.ID,
		Err: errors.New("this worker no longer has the job")}
}

func canceled(id string) error {
	return &fault.Fault{Kind: fault.Canceled, Op: "run job", Name: id, Err: errors.New("a cancel was requested")}
}

// AskCancel ends the runner's context because a cancel was requested, unless the run only adds up what parts
// have done. An engine calls it when it learns of the cancel.
func (r *Run) AskCancel() {
	r.mu.Lock()
	r.asked = true
	r.mu.Unlock()
	if r.resumed {
		return
	}
	r.interrupt(canceled(r.Job.ID))
}

// interrupt ends the runner's context, or will when Carry begins. Only the first cause counts.
func (r *Run) interrupt(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause != nil {
		return
	}
	if r.cause = cause; r.cancel != nil {
		r.cancel(cause)
	}
}
