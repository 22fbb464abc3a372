package job

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/drayage/dray/cmd/internal/job/live"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

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
		return q.cancel(ctx, tx, &j)
	})
	return j, q.db.Explain("cancel job", err)
}

func (q *Queue) cancel(ctx context.Context, tx *sql.Tx, j *Job) error {
	j.CancelRequested = true
	if j.State == Running {
		if _, err := tx.ExecContext(ctx, `UPDATE jobs SET cancel_requested = 1 WHERE id = $1`, j.ID); err != nil {
			return err
		}
		if err := q.db.Notify(tx, topicCancel, j.ID); err != nil {
			return err
		}
		return q.db.Notify(tx, live.Topic(j.ID), "")
	}
	j.State, j.Ended = Canceled, instant(store.Micros(q.now()))
	j.Failure = &Failure{Kind: fault.Canceled, Text: "canceled"}
	failure, err := encode(j.Failure)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE jobs
		SET state = 'canceled', cancel_requested = 1, ended = $1, failure = $2, wake = 0 WHERE id = $3`,
		store.Micros(j.Ended), failure, j.ID); err != nil {
		return err
	}
	if err := wipe(ctx, tx, j.ID); err != nil {
		return err
	}
	return q.db.Notify(tx, live.Topic(j.ID), "")
}

const pollCancel = 700 * time.Millisecond // short enough to see a cancel within a second without a notification

// canceling passes requests to cancel on to the runs in this process.
func (q *Queue) canceling(ctx context.Context) {
	said, err := q.db.Listen(ctx, topicCancel)
	if err != nil {
		return
	}
	tick := time.NewTicker(pollCancel)
	defer tick.Stop()
	for {
		id := ""
		select {
		case <-ctx.Done():
			return
		case told, open := <-said:
			if id = told; !open {
				said = nil
			}
		case <-tick.C:
		}
		if r := q.local(id); r != nil {
			r.askCancel()
		} else if id == "" && len(q.runs()) > 0 {
			q.lookForCancels(ctx)
		}
	}
}

func (q *Queue) lookForCancels(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	rows, err := q.db.QueryContext(ctx,
		`SELECT id FROM jobs WHERE state = 'running' AND owner = $1 AND cancel_requested = 1`, q.owner)
	if err != nil {
		return // the next tick tries again
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if rows.Scan(&id) != nil {
			return
		}
		if r := q.local(id); r != nil {
			r.askCancel()
		}
	}
	_ = rows.Err() // the next tick tries again
}
