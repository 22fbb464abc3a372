package job

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
)

const (
	beatInterval = 2 * time.Second // how often a process says that it is alive
	deadAfter    = 6 * time.Second // a process that has not said so for this long is dead
	keptWorkers  = 24 * time.Hour  // how long a dead process is still listed
)

// beat says that this process is alive.
func (q *Queue) beat(ctx context.Context, slots int) error {
	if err := q.setClock(ctx); err != nil {
		return err
	}
	name, _, _ := strings.Cut(q.owner, "/")
	now := store.Micros(q.now())
	_, err := q.db.ExecContext(ctx, `INSERT INTO workers (id, name, kind, pools, slots, running, version, started, seen)
		VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $7)
		ON CONFLICT (id) DO UPDATE SET slots = excluded.slots, seen = excluded.seen`,
		q.owner, name, q.cfg.Kind, strings.Join(q.cfg.Pools, " "), slots, q.cfg.Version, now)
	err = q.db.Explain("say that the worker is alive", err)
	q.beaten.Store(&err)
	return err
}

// leave removes this process from the list of workers, because it stops.
func (q *Queue) leave(ctx context.Context) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	_, _ = q.db.ExecContext(ctx, `DELETE FROM workers WHERE id = $1`, q.owner) // else it is listed as dead for a day
}

// busy notes that the number of runs in this process changes by n.
func (q *Queue) busy(ctx context.Context, tx *sql.Tx, n int) error {
	_, err := tx.ExecContext(ctx, `UPDATE workers SET running = running + $1 WHERE id = $2`, n, q.owner)
	return err
}

// died reports whether the process of an attempt has died, and whether nothing else ran in it.
func (q *Queue) died(ctx context.Context, tx *sql.Tx, owner string) (died, alone bool, err error) {
	if owner == q.owner {
		return false, false, nil
	}
	var running, seen int64
	err = tx.QueryRowContext(ctx, `SELECT running, seen FROM workers WHERE id = $1`, owner).Scan(&running, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return true, false, nil
	}
	died = q.now().Sub(store.Time(seen)) > deadAfter
	return died, died && running <= 1, err
}

// Workers returns the processes that work on the queue, also those that died less than a day ago, sorted by
// name.
func (q *Queue) Workers(ctx context.Context) ([]Worker, error) {
	rows, err := q.db.QueryContext(ctx,
		`SELECT id, name, kind, pools, slots, running, version, started, seen FROM workers ORDER BY name, id`)
	if err != nil {
		return nil, q.db.Explain("list workers", err)
	}
	defer rows.Close()
	now := q.now()
	var all []Worker
	for rows.Next() {
		var w Worker
		var pools string
		var started, seen int64
		if err := rows.Scan(&w.ID, &w.Name, &w.Kind, &pools, &w.Slots, &w.Running, &w.Version, &started, &seen); err != nil {
			return nil, q.db.Explain("list workers", err)
		}
		w.Pools, w.Started, w.Seen = strings.Fields(pools), store.Time(started), store.Time(seen)
		w.Alive = now.Sub(w.Seen) <= deadAfter
		all = append(all, w)
	}
	return all, q.db.Explain("list workers", rows.Err())
}

const (
	cleanInterval = 10 * time.Minute // time between two clean-ups of the history
	cleanFirst    = 30 * time.Second // time until the first one
	cleanBatch    = 500              // maximum number of jobs that one transaction deletes
)

func (q *Queue) cleaning(ctx context.Context) {
	s := story{q: q, what: "delete old history"}
	var doubt doubt
	for every := cleanFirst; pause(ctx, every); every = cleanInterval {
		if !doubt.jumped(q.now(), time.Now()) {
			s.tell(ctx, q.clean(ctx))
		}
	}
}

// doubt is whether a clock is right. If it was wrong by years for a moment, all history would be too old.
type doubt struct {
	wall, since, until time.Time
}

const doubtful = 24 * time.Hour

// jumped reports whether the clock that says wall has been set forward by more than an hour in the last day. now has
// the monotonic clock, by which the day is measured.
func (d *doubt) jumped(wall, now time.Time) bool {
	wall = wall.Round(0)
	if !d.wall.IsZero() && wall.Sub(d.wall)-now.Sub(d.since) > time.Hour {
		d.until = now.Add(doubtful)
	}
	d.wall, d.since = wall, now
	return now.Before(d.until)
}

// clean deletes ended jobs that are older than Config.Keep or more than Config.KeepMost, old idempotency keys,
// files without a job, and dead workers.
func (q *Queue) clean(ctx context.Context) error {
	before := store.Micros(q.now().Add(-q.cfg.Keep))
	var over sql.NullInt64
	const most = `SELECT max(ended)
		FROM (SELECT ended FROM jobs WHERE ended > 0 ORDER BY ended DESC LIMIT 1 OFFSET $1) AS o`
	if err := q.db.QueryRowContext(ctx, most, q.cfg.KeepMost).Scan(&over); err != nil {
		return q.db.Explain("find old jobs", err)
	}
	if over.Valid && over.Int64 >= before {
		before = over.Int64 + 1
	}
	var err error
	for n := cleanBatch; n == cleanBatch && err == nil; {
		n, err = q.cleanOnce(ctx, before)
	}
	_, e1 := q.db.ExecContext(ctx, `DELETE FROM job_keys WHERE created <= $1`, store.Micros(q.now().Add(-keyLife)))
	_, e2 := q.db.ExecContext(ctx, `DELETE FROM workers WHERE seen <= $1`, store.Micros(q.now().Add(-keptWorkers)))
	return errors.Join(err, e1, e2, q.dropFiles(ctx))
}

func (q *Queue) cleanOnce(ctx context.Context, before int64) (n int, err error) {
	ctx, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	err = q.db.Tx(ctx, func(tx *sql.Tx) error {
		// Only one process cleans at a time. Two that delete the same rows would wait for each other.
		if err := q.db.Lock(ctx, tx, "clean jobs"); err != nil {
			return err
		}
		const old = `SELECT id FROM jobs WHERE ended > 0 AND ended < $1 ORDER BY ended, id LIMIT $2`
		for _, table := range []string{"job_reports", "job_items", "job_log"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE job IN (`+old+`)`, before, cleanBatch); err != nil {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, `DELETE FROM jobs WHERE id IN (`+old+`)`, before, cleanBatch)
		if err != nil {
			return err
		}
		gone, err := res.RowsAffected()
		n = int(gone)
		return err
	})
	return n, err
}
