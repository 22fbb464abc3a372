package job

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/cmd/internal/job/turn"
	"github.com/drayage/dray/cmd/internal/store"
)

// embedded is the engine of a Queue on a SQLite file. Only one process can hold the file, so everything that
// decides which job is next is in its memory.
type embedded struct {
	q     *Queue
	kick  chan struct{} // a job may have been queued, or a slot is free
	going sync.WaitGroup

	mu      sync.Mutex
	turns   turn.Order
	running int
	solo    bool                 // a job that must run alone is running
	unsure  bool                 // the memory may differ from the database
	waits   map[string]time.Time // by job: when it continues, by the monotonic clock
}

func newEmbedded(q *Queue) *embedded {
	return &embedded{q: q, kick: make(chan struct{}, 1), unsure: true, waits: map[string]time.Time{}}
}

// Order notes that a principal has a queued job. The transactions of a SQLite file run one after the other,
// so a claim that follows finds the job, or learns that its transaction was rolled back.
func (e *embedded) Order(_ context.Context, _ *sql.Tx, o Order) error {
	if o.Kind == OrderStart {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.turns.Queued(o.Principal)
	}
	return nil
}

func (e *embedded) Kick() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// Ready says why this process could not write when it last said that it is alive, such as Full. No job can
// be submitted or started then.
func (e *embedded) Ready(context.Context) error {
	if err := e.q.beaten.Load(); err != nil {
		return *err
	}
	return nil
}

func (e *embedded) Close() error { return nil }

func (e *embedded) Work(ctx context.Context, slots int, run Runner) error {
	var loops sync.WaitGroup
	loops.Go(func() { e.q.loop(ctx, "continue jobs that wait", time.Second, e.wake) })
	loops.Go(func() { e.scheduling(ctx) })
	e.dispatch(ctx, slots, run)
	e.going.Wait()
	loops.Wait()
	return nil
}

// dispatch starts jobs in the free slots until ctx ends.
func (e *embedded) dispatch(ctx context.Context, slots int, run Runner) {
	s := story{q: e.q, what: "begin jobs"}
	for ctx.Err() == nil {
		runs, err := e.claim(ctx, slots)
		s.tell(ctx, err)
		for _, r := range runs {
			e.start(ctx, r, run)
		}
		if err != nil {
			pause(ctx, time.Second/2)
			continue
		}
		if len(runs) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
		case <-e.kick:
		}
	}
}

func (e *embedded) start(ctx context.Context, r *Run, run Runner) {
	ctx = context.WithoutCancel(ctx)
	e.going.Go(func() {
		out := e.q.Carry(ctx, r, run.Run)
		e.ended(r, out)
		e.Kick()
	})
}

func (e *embedded) ended(r *Run, out Outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running--
	e.solo = false
	e.turns.Ended(r.Job.Principal)
	switch out.State {
	case Queued:
		e.turns.Queued(r.Job.Principal)
	case Waiting:
		e.waits[r.Job.ID] = time.Now().Add(out.After)
	case "":
		e.unsure = true
	}
}

// claim begins jobs in the free slots, in one transaction that ends even if ctx does.
func (e *embedded) claim(ctx context.Context, slots int) (runs []*Run, err error) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), loopTime)
	defer done()
	if err := e.reload(ctx); err != nil {
		return nil, err
	}
	if !e.some(slots) {
		return nil, nil
	}
	var undo []func()
	takeBack := func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, f := range slices.Backward(undo) {
			f()
		}
		runs, undo, e.solo = nil, nil, false
	}
	err = e.q.db.Tx(ctx, func(tx *sql.Tx) error {
		takeBack() // of an earlier try
		for e.some(slots) {
			r, solo, err := e.next(ctx, tx)
			if err != nil || r == nil {
				return err
			}
			runs, undo = append(runs, r), append(undo, e.took(r, solo))
		}
		return nil
	})
	if err != nil {
		takeBack()
		e.mu.Lock()
		e.unsure = true
		e.mu.Unlock()
		return nil, e.q.db.Explain("claim jobs", err)
	}
	return runs, nil
}

// some reports whether a job may be started.
func (e *embedded) some(slots int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, some := e.turns.Next()
	return some && e.running < slots && !e.solo
}

func (e *embedded) took(r *Run, solo bool) (undo func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running++
	e.solo = solo
	back := e.turns.Started(r.Job.Principal)
	return func() { e.running--; back() }
}

// next begins the job whose turn it is. It returns nil if there is none, or if it must wait until it can run
// alone.
func (e *embedded) next(ctx context.Context, tx *sql.Tx) (r *Run, solo bool, err error) {
	for {
		e.mu.Lock()
		principal, some := e.turns.Next()
		others := e.running
		e.mu.Unlock()
		if !some {
			return nil, false, nil
		}
		var id string
		var lost int
		// SQLite has no statistics of the table. Without the name of the index it might read the history of the
		// principal.
		err := tx.QueryRowContext(ctx, `SELECT id, lost FROM jobs INDEXED BY jobs_queued
			WHERE state = 'queued' AND principal = $1 ORDER BY id LIMIT 1`, principal).Scan(&id, &lost)
		if errors.Is(err, sql.ErrNoRows) {
			e.mu.Lock()
			e.turns.Empty(principal)
			e.mu.Unlock()
			continue
		}
		solo := lost >= suspect
		if err != nil || solo && others > 0 {
			return nil, false, err
		}
		if r, err := e.q.begin(ctx, tx, Claim{ID: id}); err != nil || r != nil {
			return r, solo, err
		}
	}
}

// recover queues the jobs again that were running when the last process died.
func (e *embedded) recover(ctx context.Context) error {
	err := e.q.db.Tx(ctx, func(tx *sql.Tx) error {
		lost, err := runningJobs(ctx, tx)
		if err != nil {
			return err
		}
		for _, id := range lost {
			if err := e.release(ctx, tx, id, len(lost) == 1); err != nil {
				return err
			}
		}
		for _, table := range []string{"workers", "job_orders"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table); err != nil {
				return err
			}
		}
		return nil
	})
	return e.q.db.Explain("queue lost jobs", err)
}

func runningJobs(ctx context.Context, tx *sql.Tx) (ids []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id FROM jobs WHERE state = 'running'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// release queues a job again whose process died. It ends it instead if a cancel was requested, or if the job
// was alone too often when its process died.
func (e *embedded) release(ctx context.Context, tx *sql.Tx, id string, alone bool) error {
	more := 0
	if alone {
		more = 1
	}
	var n int
	j, err := scan(tx.QueryRowContext(ctx, `UPDATE jobs
		SET lost = lost + 1, alone = alone + $1, state = 'queued', fence = 0
		WHERE id = $2 RETURNING `+columns+`, alone`, more, id), &n)
	if err != nil {
		return err
	}
	text, why := lossOf(j.Attempt, j.Owner, "disappeared", "job", n)
	if err := e.q.note(ctx, tx, id, text); err != nil {
		return err
	}
	switch {
	case j.CancelRequested:
		return e.q.end(ctx, tx, &j, Canceled, whyCanceled())
	case why != nil:
		return e.q.end(ctx, tx, &j, Failed, why)
	}
	return nil
}

// reload reads from the database what the memory must have, if the two may differ.
func (e *embedded) reload(ctx context.Context) error {
	e.mu.Lock()
	unsure := e.unsure
	e.mu.Unlock()
	if !unsure {
		return nil
	}
	here := map[string]bool{}
	for _, r := range e.q.runs() {
		here[r.Job.ID] = true
	}
	err := e.q.db.Tx(ctx, func(tx *sql.Tx) error {
		running, err := runningJobs(ctx, tx)
		if err != nil {
			return err
		}
		for _, id := range running {
			if here[id] {
				continue
			}
			if _, err := tx.ExecContext(ctx, `UPDATE jobs SET state = 'queued', fence = 0 WHERE id = $1`, id); err != nil {
				return err
			}
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if err := e.readTurns(ctx, tx); err != nil {
			return err
		}
		if err := e.readWaits(ctx, tx); err != nil {
			return err
		}
		e.unsure = false // a run that ends from here on may set it again
		return nil
	})
	if err != nil { // such as that of the commit
		e.mu.Lock()
		defer e.mu.Unlock()
		e.unsure = true
	}
	return err
}

// tenants is a query that steps from principal to principal in the index. So its cost depends on the
// number of principals and not on the number of their jobs. Those whose turn it is come first.
const tenants = `
WITH RECURSIVE p (principal) AS (
	SELECT * FROM (SELECT principal FROM jobs INDEXED BY jobs_queued WHERE state = 'queued' ORDER BY principal LIMIT 1)
	UNION ALL
	SELECT (SELECT n.principal FROM jobs n INDEXED BY jobs_queued
		WHERE n.state = 'queued' AND n.principal > p.principal ORDER BY n.principal LIMIT 1)
	FROM p WHERE p.principal IS NOT NULL
)
SELECT principal,
	(SELECT coalesce(max(c.claimed), 0) FROM jobs c WHERE c.principal = p.principal) AS turn,
	(SELECT o.id FROM jobs o INDEXED BY jobs_queued
		WHERE o.state = 'queued' AND o.principal = p.principal ORDER BY o.id LIMIT 1) AS oldest
FROM p WHERE principal IS NOT NULL ORDER BY turn, oldest`

func (e *embedded) readTurns(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, tenants)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var principal, oldest string
		var claimed int64
		if err := rows.Scan(&principal, &claimed, &oldest); err != nil {
			return err
		}
		e.turns.Queued(principal)
	}
	return rows.Err()
}

// readWaits reads which jobs wait. The clock may have been set since, so no wait becomes longer than it was.
func (e *embedded) readWaits(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, wake, claimed FROM jobs WHERE state = 'waiting'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	now := e.q.now()
	for rows.Next() {
		var id string
		var wake, claimed int64
		if err := rows.Scan(&id, &wake, &claimed); err != nil {
			return err
		}
		if _, known := e.waits[id]; !known {
			left := min(store.Time(wake).Sub(now), store.Time(wake).Sub(store.Time(claimed)))
			e.waits[id] = time.Now().Add(left)
		}
	}
	return rows.Err()
}

// wake queues the jobs again whose wait is over.
func (e *embedded) wake(ctx context.Context) error {
	e.mu.Lock()
	var due []string
	for id, at := range e.waits {
		if !at.After(time.Now()) {
			due = append(due, id)
		}
	}
	e.mu.Unlock()
	var errs []error
	for _, id := range due {
		err := e.q.db.Tx(ctx, func(tx *sql.Tx) error {
			var principal string
			err := tx.QueryRowContext(ctx, `UPDATE jobs SET state = 'queued', wake = 0
				WHERE id = $1 AND state = 'waiting' RETURNING principal`, id).Scan(&principal)
			if errors.Is(err, sql.ErrNoRows) { // it was canceled
				return nil
			}
			if err != nil {
				return err
			}
			return e.Order(ctx, tx, Order{Kind: OrderStart, ID: id, Principal: principal})
		})
		if err != nil {
			errs = append(errs, err) // it must not keep the others waiting
			continue
		}
		e.mu.Lock()
		delete(e.waits, id)
		e.mu.Unlock()
		e.q.bell.Ring(id)
		e.Kick()
	}
	return errors.Join(errs...)
}

// scheduling fires schedules. If the clock was set back, it computes anew when they are due.
func (e *embedded) scheduling(ctx context.Context) {
	wall, since := time.Time{}, time.Now()
	e.q.loop(ctx, "fire schedules", time.Second, func(ctx context.Context) error {
		now := e.q.now().Round(0) // without the monotonic clock
		if now.Add(time.Second).Before(wall.Add(time.Since(since))) || wall.IsZero() {
			if err := e.q.hasten(ctx, now); err != nil {
				return err
			}
		}
		wall, since = now, time.Now()
		return e.q.fireDue(ctx, now)
	})
}
