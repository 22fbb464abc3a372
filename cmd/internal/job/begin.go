package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// maxAlone is how often a job may be lost with a process in which nothing else ran. Then it is Failed,
// because it must be what kills the processes.
const maxAlone = 3

// Begin starts an attempt at a job or at one of its parts. From then on no earlier attempt can change the
// job or the part, and items of an earlier attempt are deleted. It returns nil without an error if the job
// or the part has ended, or no longer exists. The caller passes the Run to Carry.
//
// If an earlier attempt was lost with its process, Begin counts this. A job that was lost three times when
// nothing else ran in its process is Failed.
func (q *Queue) Begin(ctx context.Context, c Claim) (r *Run, err error) {
	err = q.db.Tx(ctx, func(tx *sql.Tx) error {
		r, err = q.begin(ctx, tx, c)
		return err
	})
	if err != nil {
		return nil, q.db.Explain("begin job", err)
	}
	q.bell.Ring(c.ID)
	return r, nil
}

// hold is what a row says about the attempt that has it.
type hold struct {
	state  State
	fence  int64 // of the attempt that runs; 0 if none does
	owner  string
	number int // of the attempt
	lost   int
	alone  int
}

func (q *Queue) begin(ctx context.Context, tx *sql.Tx, c Claim) (*Run, error) {
	var h hold
	j, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+`, fence, alone FROM jobs WHERE id = $1`+q.db.ForUpdate(),
		c.ID), &h.fence, &h.alone)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (j.State.Ended() || (c.Resume || c.Part > 0) && j.State != Running) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c.Part > 0 {
		return q.beginPart(ctx, tx, c, j)
	}
	h.state, h.owner, h.number, h.lost = j.State, j.Owner, j.Attempt, j.Lost
	failed, err := q.interrupted(ctx, tx, j.ID, &h, "the job")
	if err != nil {
		return nil, err
	}
	switch {
	case failed != nil:
		if _, err := tx.ExecContext(ctx, `UPDATE jobs SET lost = $1 WHERE id = $2`, h.lost, j.ID); err != nil {
			return nil, err
		}
		return nil, q.end(ctx, tx, &j, Failed, failed)
	case j.CancelRequested && !c.Resume:
		why := whyCanceled()
		if h.state == Running && h.fence == 0 { // it is divided
			if why, err = undone(ctx, tx, j.ID, why); err != nil {
				return nil, err
			}
		}
		return nil, q.end(ctx, tx, &j, Canceled, why)
	}
	if c.Resume {
		if err := sumProgress(ctx, tx, j.ID); err != nil {
			return nil, err
		}
	}
	if !c.Resume && j.Attempt > 0 {
		for _, table := range []string{"job_items", "job_parts"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE job = $1`, j.ID); err != nil {
				return nil, err
			}
		}
	}
	fresh := 1
	if c.Resume {
		fresh = 0
	}
	var fence int64
	j, err = scan(tx.QueryRowContext(ctx, `UPDATE jobs
		SET state = 'running', seq = seq + 1, fence = seq + 1, wrote = 0, attempt = attempt + $1, owner = $2, wake = 0,
			claimed = $3, started = CASE WHEN started = 0 THEN $3 ELSE started END, lost = $4, alone = $5
		WHERE id = $6 RETURNING `+columns+`, fence`,
		fresh, q.owner, store.Micros(q.now()), h.lost, h.alone, j.ID), &fence)
	if err != nil {
		return nil, err
	}
	return newRun(q, j, c, fence, h.lost), q.busy(ctx, tx, 1)
}

func (q *Queue) beginPart(ctx context.Context, tx *sql.Tx, c Claim, j Job) (*Run, error) {
	var h hold
	err := tx.QueryRowContext(ctx, `SELECT state, fence, owner, attempt, lost, alone FROM job_parts
		WHERE job = $1 AND part = $2`+q.db.ForUpdate(), j.ID, c.Part).
		Scan(&h.state, &h.fence, &h.owner, &h.number, &h.lost, &h.alone)
	if errors.Is(err, sql.ErrNoRows) || err == nil && h.state.Ended() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	failed, err := q.interrupted(ctx, tx, j.ID, &h, fmt.Sprintf("part %d", c.Part))
	if err != nil {
		return nil, err
	}
	switch {
	case failed != nil:
		return nil, setPart(ctx, tx, j.ID, c.Part, Outcome{State: Failed, Failure: failed}, "")
	case j.CancelRequested:
		return nil, setPart(ctx, tx, j.ID, c.Part, Outcome{State: Canceled, Failure: whyCanceled()}, "")
	}
	if h.number > 0 {
		if _, err := tx.ExecContext(ctx, `DELETE FROM job_items WHERE job = $1 AND part = $2`, j.ID, c.Part); err != nil {
			return nil, err
		}
	}
	var fence int64
	if err := tx.QueryRowContext(ctx, `UPDATE jobs SET seq = seq + 1 WHERE id = $1 RETURNING seq`, j.ID).
		Scan(&fence); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE job_parts
		SET state = 'running', fence = $1, wrote = 0, attempt = attempt + 1, owner = $2, lost = $3, alone = $4, progress = ''
		WHERE job = $5 AND part = $6`, fence, q.owner, h.lost, h.alone, j.ID, c.Part); err != nil {
		return nil, err
	}
	return newRun(q, j, c, fence, h.lost), q.busy(ctx, tx, 1)
}

// interrupted notes in the log of a job that an earlier attempt has not ended, and counts a loss if that
// attempt's process died. what is "the job", or names the part. It returns why the job is not tried again, or
// nil.
func (q *Queue) interrupted(ctx context.Context, tx *sql.Tx, id string, h *hold, what string) (*Failure, error) {
	if h.state != Running || h.fence == 0 {
		return nil, nil
	}
	died, alone, err := q.died(ctx, tx, h.owner)
	if err != nil {
		return nil, err
	}
	text := "no longer has it"
	if died {
		h.lost++
		text = "disappeared"
	}
	if alone {
		h.alone++
	}
	text, why := lossOf(h.number, h.owner, text, what, h.alone)
	return why, q.note(ctx, tx, id, text)
}

// lossOf returns the line of the log about an attempt that was interrupted, and why the job or the part, what,
// is not tried again; nil if it is.
func lossOf(attempt int, owner, how, what string, alone int) (line string, why *Failure) {
	line = fmt.Sprintf("attempt %d: worker %s %s; %s is ", attempt, owner, how, what)
	if alone < maxAlone {
		return line + "tried again", nil
	}
	return line + "not tried again", &Failure{Kind: fault.Internal,
		Text: fmt.Sprintf("%d workers disappeared while they ran only this job", alone),
		Hint: "the job may be the cause: check whether the workers ran out of memory; if not, retry it"}
}

// note adds a line to the log of a job whose row the transaction has locked.
func (q *Queue) note(ctx context.Context, tx *sql.Tx, id, text string) error {
	var seq int64
	if err := tx.QueryRowContext(ctx, `UPDATE jobs SET seq = seq + 1 WHERE id = $1 RETURNING seq`, id).
		Scan(&seq); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO job_log (job, seq, at, text) VALUES ($1, $2, $3, $4)`,
		id, seq, store.Micros(q.now()), text)
	return err
}
