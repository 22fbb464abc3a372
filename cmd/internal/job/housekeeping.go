package job

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/drayage/dray/cmd/internal/job/live"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// renewing renews the leases of the runs in this process, three times during the length of a lease. It
// stores their latest progress in the same transaction.
func (q *Queue) renewing(ctx context.Context) {
	for pause(ctx, q.cfg.Lease/3) {
		// If the database does not answer, the runs continue. Only the database can say that a lease was
		// lost, and a run checks the fence before every action that must not be done twice.
		_ = q.renew(ctx)
	}
}

func (q *Queue) renew(ctx context.Context) error {
	runs := q.runs()
	if len(runs) == 0 {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, q.cfg.Lease/3)
	defer done()
	var lost, asked []*Run
	news := make([]string, len(runs))
	for i, r := range runs {
		news[i] = r.newProgress()
	}
	err := q.db.Tx(ctx, func(tx *sql.Tx) error {
		lost, asked = nil, nil
		until := store.Micros(q.now().Add(q.cfg.Lease))
		for i, r := range runs {
			err := r.held(tx.QueryRowContext(ctx, `UPDATE jobs
				SET lease_until = $1, progress = CASE WHEN $2 <> '' THEN $2 ELSE progress END
				WHERE id = $3 AND attempt = $4 AND state = 'running' RETURNING cancel_requested`,
				until, news[i], r.Job.ID, r.Job.Attempt))
			switch {
			case fault.Is(err, fault.Moved):
				lost = append(lost, r)
			case fault.Is(err, fault.Canceled):
				asked = append(asked, r)
			case err != nil:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, r := range runs {
		r.wrote(news[i])
	}
	for _, r := range lost {
		r.cancel(r.lost())
	}
	for _, r := range asked {
		r.askCancel()
	}
	return nil
}

// newProgress returns the latest snapshot of the progress, or "" if it is already stored.
func (r *Run) newProgress() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if string(r.progress) == r.written {
		return ""
	}
	return string(r.progress)
}

func (r *Run) wrote(progress string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written = cmp.Or(progress, r.written)
}

// housekeeping does the regular work that any process may do for all of them. It queues waiting jobs
// again, fires schedules, ends expired leases and deletes old jobs.
func (q *Queue) housekeeping(ctx context.Context) {
	var quiet time.Time // no leases are ended before this time, because the database was not reachable
	tick, swept, cleaned := time.Now(), time.Time{}, time.Now().Add(30*time.Second-cleanInterval)
	for ; pause(ctx, poll); tick = time.Now() {
		err := q.wakeWaiting(ctx)
		if err == nil {
			err = q.fireDue(ctx)
		}
		if err == nil && tick.Sub(swept) >= q.cfg.Lease/3 {
			if err = q.setClock(ctx); err == nil && tick.After(quiet) {
				err = q.sweep(ctx, expiredLeases)
			}
			swept = tick
		}
		if err == nil && tick.Sub(cleaned) >= cleanInterval {
			err = q.clean(ctx)
			cleaned = tick
		}
		if err != nil {
			// While the database is not reachable, no worker can renew its leases, and all of them may
			// expire. So the workers get the length of one lease to renew them.
			quiet = time.Now().Add(q.cfg.Lease)
		}
	}
}

func (q *Queue) wakeWaiting(ctx context.Context) error {
	now := store.Micros(q.now())
	const due = ` WHERE state = 'waiting' AND wake <= $1`
	var there bool
	err := q.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM jobs`+due+`)`, now).Scan(&there)
	if err != nil || !there {
		return err
	}
	return q.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE jobs SET state = 'queued', wake = 0`+due, now); err != nil {
			return err
		}
		return q.db.Notify(tx, topicQueued, "")
	})
}

// sweepScope says which leases a sweep ends.
type sweepScope int

const (
	expiredLeases sweepScope = iota // leases that have expired
	allLeases                       // all leases; a SQLite file has one process, so a new one knows that no other runs
)

// sweep queues the jobs of dead workers again. A job for which a cancel was requested is Canceled
// instead. A job that has lost its worker Config.Losses times is Failed, because it may be what kills
// the workers.
func (q *Queue) sweep(ctx context.Context, w sweepScope) error {
	before := store.Micros(q.now())
	if w == allLeases {
		before = 1<<63 - 1
	}
	for {
		n := 0
		err := q.db.Tx(ctx, func(tx *sql.Tx) error {
			lost, err := q.abandoned(ctx, tx, before)
			n = len(lost)
			for i := 0; i < len(lost) && err == nil; i++ {
				err = q.release(ctx, tx, lost[i])
			}
			if n > 0 && err == nil {
				err = q.db.Notify(tx, topicQueued, "")
			}
			return err
		})
		if err != nil || n < sweepBatch {
			return q.db.Explain("sweep leases", err)
		}
	}
}

const sweepBatch = 500 // maximum number of jobs in one transaction of a sweep

func (q *Queue) abandoned(ctx context.Context, tx *sql.Tx, before int64) ([]Job, error) {
	lock := ""
	if q.db.Postgres() {
		lock = " FOR UPDATE SKIP LOCKED"
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+columns+` FROM jobs
		WHERE state = 'running' AND lease_until < $1 LIMIT $2`+lock, before, sweepBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var lost []Job
	for rows.Next() {
		j, err := scan(rows)
		if err != nil {
			return nil, err
		}
		lost = append(lost, j)
	}
	return lost, rows.Err()
}

func (q *Queue) release(ctx context.Context, tx *sql.Tx, j Job) error {
	now := store.Micros(q.now())
	expired := fmt.Sprintf("attempt %d: the lease of worker %s expired; ", j.Attempt, j.Owner)
	state, text := Queued, expired+"the job is queued again"
	var why *Failure
	switch {
	case j.CancelRequested:
		state, text = Canceled, expired+"the job is canceled, as requested"
		why = &Failure{Kind: fault.Canceled, Text: "canceled"}
	case j.Lost+1 >= q.cfg.Losses:
		state, text = Failed, expired+"the job is not tried again"
		why = &Failure{Kind: fault.Internal, Text: fmt.Sprintf("%d workers ran the job and disappeared", j.Lost+1),
			Hint: "the job may be the cause: check whether the workers ran out of memory"}
	}
	failure, err := encode(why)
	if err != nil {
		return err
	}
	ended := int64(0)
	if state.Ended() {
		ended = now
	}
	if _, err := tx.ExecContext(ctx, `UPDATE jobs
		SET state = $1, ended = $2, failure = $3, lost = lost + 1, lease_until = 0
		WHERE id = $4 AND attempt = $5 AND state = 'running'`, state, ended, failure, j.ID, j.Attempt); err != nil {
		return err
	}
	// This is the highest sequence number of the attempt, so the line follows all lines of the run itself.
	line := Line{Seq: int64(j.Attempt+1)<<attemptBits - 1, At: instant(now), Text: text}
	if err := write(ctx, tx, j.ID, nil, []Line{line}); err != nil {
		return err
	}
	if state.Ended() {
		if err := wipe(ctx, tx, j.ID); err != nil {
			return err
		}
	}
	return q.db.Notify(tx, live.Topic(j.ID), "")
}

const (
	cleanInterval = 10 * time.Minute // time between two clean-ups of the history
	cleanBatch    = 500              // maximum number of jobs that one transaction deletes
)

// clean deletes ended jobs that are older than Config.Keep or more than Config.KeepMost, and old
// idempotency keys.
func (q *Queue) clean(ctx context.Context) error {
	before := store.Micros(q.now().Add(-q.cfg.Keep))
	var over sql.NullInt64
	const most = `SELECT max(ended)
		FROM (SELECT ended FROM jobs WHERE ended > 0 ORDER BY ended DESC LIMIT 1 OFFSET $1) AS o`
	if err := q.db.QueryRowContext(ctx, most, q.cfg.KeepMost).Scan(&over); err != nil {
		return err
	}
	if over.Valid && over.Int64 >= before {
		before = over.Int64 + 1
	}
	for {
		n, err := q.cleanOnce(ctx, before)
		if err != nil || n < cleanBatch {
			break
		}
	}
	_, err := q.db.ExecContext(ctx, `DELETE FROM job_keys WHERE created <= $1`, store.Micros(q.now().Add(-keyLife)))
	return err
}

func (q *Queue) cleanOnce(ctx context.Context, before int64) (n int, err error) {
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
