package job

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/job/live"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

const (
	maxLines  = 10_000  // lines of the log of one attempt
	maxLine   = 4 << 10 // bytes of one line
	itemBatch = 256     // unwritten items at which Item writes them itself
)

// eventBits is a number of bits. The events of an attempt are numbered from fence << 16, so that their numbers
// increase from attempt to attempt. An event that was read from the database has the number of its line in
// the same place.
const eventBits = 16

func newRun(q *Queue, j Job, c Claim, fence int64) *Run {
	ring := live.New(j.Attempt, fence<<eventBits)
	return &Run{Job: j, Part: c.Part, q: q, fence: fence, resumed: c.Resume, live: ring, engine: c.Fence, left: make(chan struct{})}
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
// It is stored with the job every second. The progress of a divided job is the sum of that of its parts.
func (r *Run) Progress(data json.RawMessage) {
	r.mu.Lock()
	r.progress = data
	r.mu.Unlock()
	r.Emit("progress", data)
}

// Latest returns the latest snapshot of the progress; zero if there is none.
func (r *Run) Latest() (p wire.Progress) {
	r.mu.Lock()
	data := r.progress
	r.mu.Unlock()
	if data != nil && json.Unmarshal(data, &p) != nil {
		return wire.Progress{}
	}
	return p
}

// Item adds an item to the job's report. It is usually durable after a second, and at the latest when
// the job has ended. An error means that items could not be written; the run should then end.
func (r *Run) Item(ctx context.Context, data json.RawMessage) error {
	r.mu.Lock()
	r.local++
	r.items = append(r.items, Item{Seq: r.local, Data: data})
	full := len(r.items) >= itemBatch
	r.mu.Unlock()
	if full {
		return retryOutage(ctx, func() error { return r.q.flush(ctx, r) })
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
	if r.logged > maxLines {
		r.mu.Unlock()
		return
	}
	if r.logged == maxLines {
		text = "the log of this attempt is full; no more lines are kept"
	}
	r.logged++
	r.local++
	line := Line{Seq: r.local, At: r.q.now(), Text: text}
	r.lines = append(r.lines, line)
	r.mu.Unlock()
	if told, err := json.Marshal(text); err == nil {
		r.Emit("log", told)
	}
}

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
		query, args := r.holds("")
		if err := r.held(tx.QueryRowContext(ctx, query+r.q.db.ForUpdate(), args...)); err != nil {
			return err
		}
		return f(tx)
	})
}

func (r *Run) moved() error {
	return &fault.Fault{Kind: fault.Moved, Op: "run job", Name: r.Job.ID,
		Err: errors.New("this worker no longer has the job")}
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

// Lose ends the runner's context because another attempt has the job. An engine calls it when it learns of
// that.
func (r *Run) Lose() { r.interrupt(r.moved()) }

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

// abandon makes Carry return without the outcome of the runner.
func (r *Run) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.left:
	default:
		close(r.left)
	}
}
