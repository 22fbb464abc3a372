package job

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

const (
	flushInterval = time.Second // how often items, lines and progress are written
	rowsAtOnce    = 64          // rows in one statement
)

// batch is what a run has produced since it was written last.
type batch struct {
	items    []Item
	lines    []Line
	progress string // "" if it has not changed
}

func (b batch) empty() bool { return len(b.items)+len(b.lines) == 0 && b.progress == "" }

// unwritten takes what is not written yet. The caller writes it, or gives it back with putBack.
func (r *Run) unwritten() batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := batch{items: r.items, lines: r.lines}
	r.items, r.lines, r.bytes = nil, nil, 0
	if string(r.progress) != r.written {
		b.progress = string(r.progress)
		r.written = b.progress
	}
	return b
}

func (r *Run) putBack(b batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items, r.lines = append(b.items, r.items...), append(b.lines, r.lines...)
	for _, it := range b.items {
		r.bytes += len(it.Data)
	}
	if b.progress != "" {
		r.written = ""
	}
}

// drop forgets what is not written, because it cannot be written.
func (r *Run) drop() {
	r.unwritten()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress = nil
}

// flush writes what runs have produced, in one transaction. If that fails because of one run, each run is
// written in its own. What could not be written is kept for the next flush.
func (q *Queue) flush(ctx context.Context, runs ...*Run) error {
	// The rows are locked in the order of their names, so that two processes cannot wait for each other.
	slices.SortFunc(runs, func(a, b *Run) int {
		return cmp.Or(cmp.Compare(a.Job.ID, b.Job.ID), cmp.Compare(a.Part, b.Part), cmp.Compare(a.fence, b.fence))
	})
	for _, r := range runs {
		r.flushing.Lock()
		defer r.flushing.Unlock()
	}
	batches := map[*Run]batch{}
	for _, r := range runs {
		if b := r.unwritten(); !b.empty() {
			batches[r] = b
		}
	}
	err := q.flushed(ctx, runs, batches)
	if err == nil || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Canceled) || len(batches) < 2 {
		return err
	}
	var errs []error
	for r, b := range batches {
		errs = append(errs, q.flushed(ctx, []*Run{r}, map[*Run]batch{r: b}))
	}
	return errors.Join(errs...)
}

// flushed writes the batches of runs in one transaction. Each run that has lost its job, or whose cancel was
// requested, learns of it.
func (q *Queue) flushed(ctx context.Context, runs []*Run, batches map[*Run]batch) error {
	if len(batches) == 0 {
		return nil
	}
	told := map[*Run]error{}
	err := q.db.Tx(ctx, func(tx *sql.Tx) error {
		clear(told)
		for _, r := range runs {
			b, some := batches[r]
			if !some {
				continue
			}
			if err := r.write(ctx, tx, b); fault.Is(err, fault.Moved) || fault.Is(err, fault.Canceled) {
				told[r] = err
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for _, r := range runs {
			if b, some := batches[r]; some {
				r.putBack(b)
			}
		}
		return q.db.Explain("write items of jobs", err)
	}
	for r, b := range batches {
		if r.Part > 0 && b.progress != "" {
			q.progressed(r.Job.ID)
		}
	}
	for r, err := range told {
		if fault.Is(err, fault.Canceled) {
			r.AskCancel()
		} else {
			r.interrupt(err)
		}
	}
	return nil
}

// write writes a batch and locks the row of the job. It numbers items and lines in the order in which they
// become visible, so that a reader that continues after the last number that it saw misses nothing. What an
// earlier transaction has written, whose answer was lost, is not written again.
//
// The error is Moved if another attempt has the job; nothing is written then. It is Canceled if a cancel
// was requested; everything is written nevertheless.
func (r *Run) write(ctx context.Context, tx *sql.Tx, b batch) error {
	query, args := r.holds(`j.seq, `)
	var cancel, seq, wrote int64
	err := tx.QueryRowContext(ctx, query+r.q.db.ForUpdate(), args...).Scan(&seq, &cancel, &wrote)
	if errors.Is(err, sql.ErrNoRows) {
		return r.moved()
	}
	if err != nil {
		return err
	}
	was, last := seq, wrote
	defer func() { r.seq = seq }()
	var items, lines [][]any
	for _, it := range b.items {
		if it.Seq > wrote {
			seq, last = seq+1, max(last, it.Seq)
			items = append(items, []any{r.Job.ID, seq, r.Part, string(it.Data)})
		}
	}
	for _, l := range b.lines {
		if l.Seq > wrote {
			seq, last = seq+1, max(last, l.Seq)
			lines = append(lines, []any{r.Job.ID, seq, store.Micros(l.At), l.Text})
		}
	}
	if err := insertMany(ctx, tx, `INSERT INTO job_items (job, seq, part, data) VALUES `, items, ""); err != nil {
		return err
	}
	if err := insertMany(ctx, tx, `INSERT INTO job_log (job, seq, at, text) VALUES `, lines, ""); err != nil {
		return err
	}
	if seq > was || b.progress != "" {
		if err := r.wrote(ctx, tx, seq, last, b.progress); err != nil {
			return err
		}
	}
	if cancel != 0 {
		return canceled(r.Job.ID)
	}
	return nil
}

// wrote notes how far a run is written, and its progress.
func (r *Run) wrote(ctx context.Context, tx *sql.Tx, seq, last int64, progress string) error {
	if r.Part == 0 {
		_, err := tx.ExecContext(ctx, `UPDATE jobs SET seq = $1, wrote = $2,
			progress = CASE WHEN $3 <> '' THEN $3 ELSE progress END WHERE id = $4`, seq, last, progress, r.Job.ID)
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE jobs SET seq = $1 WHERE id = $2`, seq, r.Job.ID); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE job_parts SET wrote = $1,
		progress = CASE WHEN $2 <> '' THEN $2 ELSE progress END WHERE job = $3 AND part = $4`,
		last, progress, r.Job.ID, r.Part)
	return err
}

// insertMany inserts rows, in statements that end with end.
func insertMany(ctx context.Context, tx *sql.Tx, into string, rows [][]any, end string) error {
	for len(rows) > 0 {
		part := rows[:min(rowsAtOnce, len(rows))]
		rows = rows[len(part):]
		var values []string
		var args []any
		for _, row := range part {
			marks := make([]string, len(row))
			for i, v := range row {
				args = append(args, v)
				marks[i] = fmt.Sprintf("$%d", len(args))
			}
			values = append(values, "("+strings.Join(marks, ", ")+")")
		}
		if _, err := tx.ExecContext(ctx, into+strings.Join(values, ", ")+end, args...); err != nil {
			return err
		}
	}
	return nil
}
