package job

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"github.com/drayage/dray/cmd/internal/job/live"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

const (
	maxLines  = 10_000  // lines of the log of one attempt
	maxLine   = 4 << 10 // bytes of one line
	itemBatch = 256     // unwritten items at which Item writes them itself
	itemBytes = 1 << 20 // bytes of unwritten items at which it does so
)

// suspect is how often a job or a part is lost before it only runs alone, so that it is found out whether it is
// what kills the processes.
const suspect = 3

func newRun(q *Queue, j Job, c Claim, fence int64, lost int) *Run {
	ring := live.New(j.Attempt, fence<<eventBits)
	return &Run{
		Job: j, Part: c.Part, Solo: lost >= suspect,
		q: q, fence: fence, resumed: c.Resume, live: ring, engine: c.Fence, left: make(chan struct{}),
	}
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
	r.bytes += len(data)
	full := len(r.items) >= itemBatch || r.bytes >= itemBytes
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

// CancelRequested reports whether this process knows that a cancel was requested.
func (r *Run) CancelRequested() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// Lose ends the runner's context because another attempt has the job. An engine calls it when it learns of
// that.
func (r *Run) Lose() { r.interrupt(r.moved()) }

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
