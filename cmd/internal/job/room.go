package job

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/drayage/dray/fault"
)

const (
	recount     = time.Second            // how long a count is good for
	recountFull = 100 * time.Millisecond // and one that refuses: its cost grows with the jobs
	backlogs    = 1000                   // that are kept
)

// admit is Throttled where s, which was just inserted, is more than its principal may have queued.
// A count costs by the jobs that it counts, so it is made now and then: of several processes each
// may let some more in. The firing of a schedule is let in: there is one at a time.
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
		err := tx.QueryRowContext(ctx, q.byQueue(`SELECT count(*) FROM (SELECT 1 FROM jobs /*by*/ WHERE state = 'queued' AND principal = $1 LIMIT $2) AS counted`),
			s.Principal, most+1).Scan(&b.queued)
		if err != nil {
			return err
		}
		b.counted = now
	}
	full := b.queued > most
	if full {
		b.queued-- // it is not to be one of them
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, known := q.backlogs[s.Principal]; !known && len(q.backlogs) >= backlogs {
		clear(q.backlogs)
	}
	q.backlogs[s.Principal] = b
	if full {
		return &fault.Fault{Kind: fault.Throttled, Op: "submit job", Name: s.Principal, RetryAfter: 5 * time.Second,
			Err: fmt.Errorf("it has %d jobs queued", most), Hint: "wait until some are done, or let the server take more: server.per-principal.queued-jobs"}
	}
	return nil
}
