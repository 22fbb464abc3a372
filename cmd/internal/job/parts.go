package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// PutParts stores parts of the job of r, if r still has the job. Their numbers begin with first, which is at
// least 1. A part that has the same number is replaced. The errors are those of Run.Tx.
func (q *Queue) PutParts(ctx context.Context, r *Run, first int, parts []json.RawMessage) error {
	rows := make([][]any, len(parts))
	for i, p := range parts {
		rows[i] = []any{r.Job.ID, first + i, string(p)}
	}
	err := r.Tx(ctx, func(tx *sql.Tx) error {
		return insertMany(ctx, tx, `INSERT INTO job_parts (job, part, request) VALUES `, rows,
			` ON CONFLICT (job, part) DO UPDATE SET request = excluded.request, state = 'queued', attempt = 0, lost = 0,
				alone = 0, owner = '', fence = 0, wrote = 0, progress = '', outcome = ''`)
	})
	return q.db.Explain("divide job", err)
}

// openPart is the condition of a part that has not ended.
const openPart = `state IN ('queued', 'running', 'waiting')`

// OpenParts returns the numbers of up to limit parts that have not ended, beginning after number after.
func (q *Queue) OpenParts(ctx context.Context, id string, after, limit int) ([]int, error) {
	rows, err := q.db.QueryContext(ctx, `SELECT part FROM job_parts WHERE job = $1 AND part > $2 AND `+openPart+`
		ORDER BY part LIMIT $3`, id, after, limit)
	if err != nil {
		return nil, q.db.Explain("list parts of job", err)
	}
	defer rows.Close()
	var all []int
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			return nil, q.db.Explain("list parts of job", err)
		}
		all = append(all, n)
	}
	return all, q.db.Explain("list parts of job", rows.Err())
}

// Part returns part n of a job, as it was emitted. The error is NotFound if there is none.
func (q *Queue) Part(ctx context.Context, id string, n int) (json.RawMessage, error) {
	var request string
	err := q.db.QueryRowContext(ctx, `SELECT request FROM job_parts WHERE job = $1 AND part = $2`, id, n).Scan(&request)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &fault.Fault{Kind: fault.NotFound, Op: "get part of job", Name: fmt.Sprintf("%s part %d", id, n)}
	}
	return raw(request), q.db.Explain("get part of job", err)
}

const outcomesAtOnce = 8 // of which each may list thousands of names

// Outcomes yields the outcomes of the parts of a job, in the order of their numbers. The State of a part that
// has not ended is Queued, Waiting or Running. The sequence ends with an error if there is one. It does not end with
// ctx, so that a job that was canceled is added up, too.
func (q *Queue) Outcomes(ctx context.Context, id string) iter.Seq2[Outcome, error] {
	ctx = context.WithoutCancel(ctx)
	return func(yield func(Outcome, error) bool) {
		for after := 0; ; {
			page, last, err := q.outcomes(ctx, id, after)
			if err != nil {
				yield(Outcome{}, q.db.Explain("read parts of job", err))
				return
			}
			for _, out := range page {
				if !yield(out, nil) {
					return
				}
			}
			if len(page) < outcomesAtOnce {
				return
			}
			after = last
		}
	}
}

func (q *Queue) outcomes(ctx context.Context, id string, after int) (page []Outcome, last int, err error) {
	rows, err := q.db.QueryContext(ctx, `SELECT part, state, outcome FROM job_parts WHERE job = $1 AND part > $2
		ORDER BY part LIMIT $3`, id, after, outcomesAtOnce)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var out Outcome
		var text string
		if err := rows.Scan(&last, &out.State, &text); err != nil {
			return nil, 0, err
		}
		var kept partOutcome
		if text != "" {
			if err := json.Unmarshal([]byte(text), &kept); err != nil {
				return nil, 0, err
			}
		}
		out.After, out.Report, out.Failure = kept.After, kept.Report, kept.Failure
		page = append(page, out)
	}
	return page, last, rows.Err()
}

// partOutcome is the stored form of a part's outcome, without its state.
type partOutcome struct {
	After   time.Duration   `json:"after,omitempty"`
	Report  json.RawMessage `json:"report,omitempty"`
	Failure *Failure        `json:"failure,omitempty"`
}

// endPart stores the outcome of a part, and its last progress.
func (r *Run) endPart(ctx context.Context, tx *sql.Tx, out Outcome) error {
	r.mu.Lock()
	progress := resting(r.progress)
	r.mu.Unlock()
	return setPart(ctx, tx, r.Job.ID, r.Part, out, string(progress))
}

// undone adds to why a divided job was canceled how many of its parts were not carried out. It returns why of any other
// kind as it is.
func undone(ctx context.Context, tx *sql.Tx, id string, why *Failure) (*Failure, error) {
	if why == nil || why.Kind != fault.Canceled {
		return why, nil
	}
	var n, never, begun int
	if err := tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(CASE WHEN attempt = 0 THEN 1 ELSE 0 END), 0),
		coalesce(sum(CASE WHEN attempt > 0 AND (state = 'canceled' OR `+openPart+`) THEN 1 ELSE 0 END), 0)
		FROM job_parts WHERE job = $1`, id).Scan(&n, &never, &begun); err != nil {
		return nil, err
	}
	said := *why
	switch {
	case never > 0 && begun > 0:
		said.Text += fmt.Sprintf("; %d of %d parts were not carried out, and %d were interrupted", never, n, begun)
	case never > 0:
		said.Text += fmt.Sprintf("; %d of %d parts were not carried out", never, n)
	case begun > 0:
		said.Text += fmt.Sprintf("; %d of %d parts were interrupted", begun, n)
	}
	return &said, nil
}

func setPart(ctx context.Context, tx *sql.Tx, id string, part int, out Outcome, progress string) error {
	kept, err := json.Marshal(partOutcome{After: out.After, Report: out.Report, Failure: out.Failure})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE job_parts SET state = $1, fence = 0, outcome = $2, progress = $3
		WHERE job = $4 AND part = $5`, out.State, string(kept), progress, id, part)
	return err
}

// resting returns a snapshot of progress without what only a run has that has not ended.
func resting(progress json.RawMessage) json.RawMessage {
	var p wire.Progress
	if progress == nil || json.Unmarshal(progress, &p) != nil {
		return progress
	}
	p.Rate, p.Blobs, p.Waiting = 0, nil, nil
	out, err := json.Marshal(p)
	if err != nil {
		return progress
	}
	return out
}

// sumUp makes the sums of what has progressed here.
func (q *Queue) sumUp(ctx context.Context) error {
	q.mu.Lock()
	ids := q.unsummed
	q.unsummed = map[string]bool{}
	q.mu.Unlock()
	var errs []error
	for id := range ids {
		err := q.db.Tx(ctx, func(tx *sql.Tx) error {
			var state State
			err := tx.QueryRowContext(ctx, `SELECT state FROM jobs WHERE id = $1`+q.db.ForUpdate(), id).Scan(&state)
			if errors.Is(err, sql.ErrNoRows) || err == nil && state != Running {
				return nil
			}
			if err != nil {
				return err
			}
			return sumProgress(ctx, tx, id)
		})
		if err != nil {
			q.progressed(id)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// sumProgress sets the progress of a job to the sum of that of its parts. The transaction has locked the row
// of the job.
func sumProgress(ctx context.Context, tx *sql.Tx, id string) error {
	var sum wire.Progress
	if err := tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(CASE WHEN `+openPart+` THEN 0 ELSE 1 END), 0)
		FROM job_parts WHERE job = $1`, id).Scan(&sum.Parts, &sum.PartsEnded); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT progress FROM job_parts WHERE job = $1 AND progress <> ''`, id)
	if err != nil {
		return err
	}
	defer rows.Close()
	some := false
	for rows.Next() {
		var text string
		var p wire.Progress
		if err := rows.Scan(&text); err != nil {
			return err
		}
		if json.Unmarshal([]byte(text), &p) == nil {
			sum, some = sum.Plus(p), true
		}
	}
	if err := rows.Err(); err != nil || !some {
		return err
	}
	out, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE jobs SET progress = $1 WHERE id = $2`, string(out), id)
	return err
}
