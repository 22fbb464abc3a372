package job

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/job/live"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// Runner carries out a job. ctx ends when the job is canceled, when another worker has claimed the job,
// or when Work was stopped and Config.Grace is over. context.Cause(ctx) says which. If another worker has
// claimed the job, the outcome that the runner returns is ignored.
type Runner func(ctx context.Context, r *Run) Outcome

const (
	maxLines  = 10_000  // lines of the log of one attempt
	maxLine   = 4 << 10 // bytes of one line
	itemBatch = 256     // unwritten items at which Item writes them itself
)

func newRun(q *Queue, j Job) *Run {
	first := int64(j.Attempt) << attemptBits
	ring := live.New(j.ID, j.Attempt, first)
	return &Run{Job: j, q: q, live: ring, lineSeq: first, itemSeq: first, done: make(chan struct{})}
}

// Secret returns the decrypted secret that was submitted with the job, or nil if there was none. The
// error is Denied if this Queue has no Sealer, or that of the Sealer or of the database.
func (r *Run) Secret(ctx context.Context) ([]byte, error) {
	var sealed []byte
	err := retryOutage(ctx, func() error {
		err := r.q.db.QueryRowContext(ctx, `SELECT sealed FROM job_secrets WHERE job = $1`, r.Job.ID).Scan(&sealed)
		if errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return r.q.db.Explain("read secret of job", err)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if r.q.cfg.Seal == nil {
		return nil, &fault.Fault{Kind: fault.Denied, Op: "open secret of job", Name: r.Job.ID,
			Err: errors.New("this server has no key to open secrets")}
	}
	return r.q.cfg.Seal.Open(sealed, sealedName(r.Job.ID))
}

func sealedName(id string) string { return "job/" + id }

// Emit sends an event to those who watch the job. It is not stored. Use Item or Log for information that
// must be readable later.
func (r *Run) Emit(kind string, data json.RawMessage) {
	r.live.Add(Event{Kind: kind, Data: data, At: r.q.now()})
}

// Progress sets the latest snapshot of the progress. Watchers receive it at once as a "progress" event.
// It is stored with the job every few seconds.
func (r *Run) Progress(data json.RawMessage) {
	r.mu.Lock()
	r.progress = data
	r.mu.Unlock()
	r.Emit("progress", data)
}

// Item adds an item to the job's report. It is usually durable after a second, and at the latest when
// the job has ended. An error means that items could not be written; the run should then end.
func (r *Run) Item(ctx context.Context, data json.RawMessage) error {
	r.mu.Lock()
	r.itemSeq++
	r.items = append(r.items, Item{Seq: r.itemSeq, Data: data})
	full := len(r.items) >= itemBatch
	r.mu.Unlock()
	if full {
		return retryOutage(ctx, func() error { return r.flush(ctx) })
	}
	return nil
}

// Log adds a line to the job's log. Watchers receive it at once as a "log" event. It becomes durable as
// an Item does. A line is cut after 4 KiB, and the log of an attempt ends after 10,000 lines.
func (r *Run) Log(text string) {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "�"), "\x00", "�") // databases do not accept these bytes in text
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "…"
	}
	r.mu.Lock()
	n := r.lineSeq - int64(r.Job.Attempt)<<attemptBits
	if n > maxLines {
		r.mu.Unlock()
		return
	}
	if n == maxLines {
		text = "the log of this attempt is full; no more lines are kept"
	}
	r.lineSeq++
	line := Line{Seq: r.lineSeq, At: r.q.now(), Text: text}
	r.lines = append(r.lines, line)
	r.mu.Unlock()
	if told, err := json.Marshal(text); err == nil {
		r.Emit("log", told)
	}
}

// Fence asks the database whether this attempt still holds the job. Call it right before an action that
// must not be done twice. The error is nil if the attempt holds the job, Canceled if a cancel was
// requested, Moved if another worker has the job, and Unavailable if the database does not answer for a
// minute.
func (r *Run) Fence(ctx context.Context) error {
	return retryOutage(ctx, func() error {
		return r.held(r.q.db.QueryRowContext(ctx, holds, r.Job.ID, r.Job.Attempt))
	})
}

// outage is how long a result is retried if the database does not answer. After that the lease
// expires, and the job runs again.
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

const holds = `SELECT cancel_requested FROM jobs WHERE id = $1 AND attempt = $2 AND state = 'running'`

func (r *Run) held(row *sql.Row) error {
	var cancel int64
	err := row.Scan(&cancel)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return r.lost()
	case err != nil:
		return r.q.db.Explain("ask for lease of job", err)
	case cancel != 0:
		return canceled(r.Job.ID)
	}
	return nil
}

// Tx runs f in a transaction that also checks the fence. The changes of f are committed only if this
// attempt holds the job at that time. Otherwise nothing changes, and the error is that of Fence. f may
// run more than once. If the error contains store.ErrUncertain, the changes may have taken effect.
func (r *Run) Tx(ctx context.Context, f func(*sql.Tx) error) error {
	var uncertain error
	err := retryOutage(ctx, func() error {
		err := r.tx(ctx, f)
		if errors.Is(err, store.ErrUncertain) { // perhaps committed, so f must not be repeated here
			uncertain = err
			return nil
		}
		return err
	})
	return cmp.Or(err, uncertain)
}

func (r *Run) tx(ctx context.Context, f func(*sql.Tx) error) error {
	return r.q.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := r.held(tx.QueryRowContext(ctx, holds+r.q.db.ForUpdate(), r.Job.ID, r.Job.Attempt)); err != nil {
			return err
		}
		return f(tx)
	})
}

func (r *Run) lost() error {
	return &fault.Fault{Kind: fault.Moved, Op: "run job", Name: r.Job.ID,
		Err: errors.New("this worker no longer holds the lease of the job")}
}

func canceled(id string) error {
	return &fault.Fault{Kind: fault.Canceled, Op: "run job", Name: id, Err: errors.New("a cancel was requested")}
}

// CancelRequested reports whether this process knows that a cancel was requested.
func (r *Run) CancelRequested() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// askCancel ends the runner's context because a cancel was requested.
func (r *Run) askCancel() {
	r.mu.Lock()
	r.asked = true
	r.mu.Unlock()
	r.cancel(canceled(r.Job.ID))
}

// unwritten takes the items and lines that are not written yet. The caller writes them, or gives them
// back with putBack.
func (r *Run) unwritten() (items []Item, lines []Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	items, lines = r.items, r.lines
	r.items, r.lines = nil, nil
	return items, lines
}

func (r *Run) putBack(items []Item, lines []Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items, r.lines = append(items, r.items...), append(lines, r.lines...)
}

// flush writes the items and lines that Item and Log have collected, if this attempt holds the job.
func (r *Run) flush(ctx context.Context) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	items, lines := r.unwritten()
	if len(items)+len(lines) == 0 {
		return nil
	}
	err := r.q.db.Tx(ctx, func(tx *sql.Tx) error {
		err := r.held(tx.QueryRowContext(ctx, holds+r.q.db.ForUpdate(), r.Job.ID, r.Job.Attempt))
		if err != nil && !fault.Is(err, fault.Canceled) { // a job that is being canceled still has its items
			return err
		}
		return write(ctx, tx, r.Job.ID, items, lines)
	})
	if err != nil && !fault.Is(err, fault.Moved) {
		r.putBack(items, lines)
	}
	return r.q.db.Explain("write items of job", err)
}

func write(ctx context.Context, tx *sql.Tx, id string, items []Item, lines []Line) error {
	var rows [][]any
	for _, it := range items {
		rows = append(rows, []any{id, it.Seq, string(it.Data)})
	}
	if err := insertMany(ctx, tx, `INSERT INTO job_items (job, seq, data) VALUES `, rows); err != nil {
		return err
	}
	rows = nil
	for _, l := range lines {
		rows = append(rows, []any{id, l.Seq, store.Micros(l.At), l.Text})
	}
	return insertMany(ctx, tx, `INSERT INTO job_log (job, seq, at, text) VALUES `, rows)
}

const rowsAtOnce = 64 // rows in one statement

// insertMany inserts rows. Rows that exist already are ignored, so it may be repeated when it is unknown
// whether they were committed.
func insertMany(ctx context.Context, tx *sql.Tx, into string, rows [][]any) error {
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
		if _, err := tx.ExecContext(ctx, into+strings.Join(values, ", ")+` ON CONFLICT DO NOTHING`, args...); err != nil {
			return err
		}
	}
	return nil
}
