package job

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/drayage/dray/cmd/internal/store"
)

// claim claims up to n jobs for this Queue. It takes each job from the principal with the fewest running
// jobs; among equals, from the one whose last claim is the longest ago. Of that principal it takes the
// oldest job.
func (q *Queue) claim(ctx context.Context, n int) ([]*Run, error) {
	ask, err := q.anyQueued(ctx)
	if err != nil || !ask {
		return nil, err
	}
	var runs []*Run
	err = q.db.Tx(ctx, func(tx *sql.Tx) error {
		runs = nil
		list, err := q.tenants(ctx, tx)
		if err != nil {
			return err
		}
		now := q.now()
		until := store.Micros(now.Add(q.cfg.Lease))
		for len(runs) < n && len(list) > 0 {
			t := &list[0]
			stamp := store.Micros(now) + int64(len(runs))
			r, err := q.take(ctx, tx, t.principal, stamp, until)
			if errors.Is(err, sql.ErrNoRows) { // another worker claimed the last job of this principal
				list = list[1:]
				continue
			}
			if err != nil {
				return err
			}
			runs = append(runs, r)
			t.running, t.turn, t.oldest = t.running+1, stamp, r.Job.ID
			slices.SortStableFunc(list, fairer)
		}
		return nil
	})
	if err != nil {
		return nil, q.db.Explain("claim jobs", err)
	}
	return runs, nil
}

// tenant is a principal with queued jobs, with what decides whose turn it is.
type tenant struct {
	principal string
	running   int64
	turn      int64  // when one of its jobs was claimed last
	oldest    string // ID of its oldest queued job
}

// tenants is a query that steps from principal to principal in the index. So its cost depends on the
// number of principals and not on the number of their jobs.
const tenants = `
WITH RECURSIVE p (principal) AS (
	SELECT * FROM (SELECT principal FROM jobs /*by*/ WHERE state = 'queued' ORDER BY principal LIMIT 1) AS first
	UNION ALL
	SELECT (SELECT n.principal FROM jobs n /*by*/
		WHERE n.state = 'queued' AND n.principal > p.principal ORDER BY n.principal LIMIT 1)
	FROM p WHERE p.principal IS NOT NULL
)
SELECT principal,
	(SELECT count(*) FROM jobs r WHERE r.state = 'running' AND r.principal = p.principal),
	(SELECT coalesce(max(c.claimed), 0) FROM jobs c WHERE c.principal = p.principal),
	(SELECT o.id FROM jobs o /*by*/ WHERE o.state = 'queued' AND o.principal = p.principal ORDER BY o.id LIMIT 1)
FROM p WHERE principal IS NOT NULL`

// anyQueued reports whether any job is queued. It is a read, so that an idle worker does not start write
// transactions.
func (q *Queue) anyQueued(ctx context.Context) (bool, error) {
	var there bool
	err := q.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'queued')`).Scan(&there)
	return there, q.db.Explain("look for jobs", err)
}

func fairer(a, b tenant) int {
	return cmp.Or(cmp.Compare(a.running, b.running), cmp.Compare(a.turn, b.turn), cmp.Compare(a.oldest, b.oldest))
}

func (q *Queue) tenants(ctx context.Context, tx *sql.Tx) ([]tenant, error) {
	rows, err := tx.QueryContext(ctx, q.byQueue(tenants))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []tenant
	for rows.Next() {
		var t tenant
		if err := rows.Scan(&t.principal, &t.running, &t.turn, &t.oldest); err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	slices.SortFunc(list, fairer)
	return list, rows.Err()
}

// byQueue adds the name of the index for SQLite. SQLite has no statistics of the table. Without the name
// it would read every queued job, or the whole history of a principal.
func (q *Queue) byQueue(query string) string {
	if q.db.Postgres() {
		return query
	}
	return strings.ReplaceAll(query, "/*by*/", "INDEXED BY jobs_queued")
}

func (q *Queue) take(ctx context.Context, tx *sql.Tx, principal string, now, until int64) (*Run, error) {
	lock := ""
	if q.db.Postgres() {
		lock = " FOR UPDATE SKIP LOCKED"
	}
	row := tx.QueryRowContext(ctx, q.byQueue(`UPDATE jobs
		SET state = 'running', attempt = attempt + 1, owner = $1, lease_until = $2, claimed = $3, wake = 0,
			started = CASE WHEN started = 0 THEN $3 ELSE started END
		WHERE id = (SELECT id FROM jobs /*by*/ WHERE state = 'queued' AND principal = $4 ORDER BY id LIMIT 1`+lock+`)
			AND state = 'queued'
		RETURNING `+columns), q.owner, until, now, principal)
	j, err := scan(row)
	if err != nil {
		return nil, err
	}
	return newRun(q, j), nil
}
