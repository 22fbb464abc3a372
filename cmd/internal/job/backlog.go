package job

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/drayage/dray/fault"
)

const (
	recount     = time.Second            // how long a count is used
	recountFull = 100 * time.Millisecond // how long a count is used if it refuses jobs
	backlogs    = 1000                   // maximum number of principals with a remembered count
)

// admit returns Throttled if s, which was just inserted, is more than its principal may have queued. The
// caller then rolls the transaction back.
//
// The cost of counting grows with the number of jobs, so admit uses a count for some time. With several
// processes, each may admit some jobs too many. The firing of a schedule is always admitted, because a
// schedule has at most one job at a time.
func (q *Queue) admit(ctx context.Context, tx *sql.Tx, s submission) error {
	if !s.due.IsZero() {
		return nil
	}
	now, most := time.Now(), q.cfg.QueuedMost
	q.mu.Lock()
	b := q.backlogs[s.Principal]
	q.mu.Unlock()
	b.queued++
	if age := now.Sub(b.counted); age > recount || b.queued > most && age > recountFull {
		const count = `SELECT count(*) FROM (
			SELECT 1 FROM jobs /*by*/ WHERE state = 'queued' AND principal = $1 LIMIT $2) AS counted`
		if err := tx.QueryRowContext(ctx, q.byQueue(count), s.Principal, most+1).Scan(&b.queued); err != nil {
			return err
		}
		b.counted = now
	}
	full := b.queued > most
	if full {
		b.queued-- // the refused job is rolled back
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, known := q.backlogs[s.Principal]; !known && len(q.backlogs) >= backlogs {
		clear(q.backlogs)
	}
	q.backlogs[s.Principal] = b
	if full {
		return &fault.Fault{Kind: fault.Throttled, Op: "submit job", Name: s.Principal, RetryAfter: 5 * time.Second,
			Err:  fmt.Errorf("the principal has %d jobs queued", most),
			Hint: "wait until some of them have ended, or raise server.per-principal.queued-jobs"}
	}
	return nil
}
