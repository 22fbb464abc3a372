package job

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// PutOrder stores o in tx, for an engine that carries it out from another process or after a restart.
func (q *Queue) PutOrder(ctx context.Context, tx *sql.Tx, o Order) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO job_orders (kind, id, principal) VALUES ($1, $2, $3)`,
		o.Kind, o.ID, o.Principal)
	return err
}

// Orders returns up to limit stored orders: the oldest of each principal, then the second of each, and so on,
// so that nobody waits for the many jobs of another. Orders of one kind that are about the same job or
// schedule are in their order. A cancel does not wait behind the start of other jobs, and so it may come
// before that of its own job: the row then says that the job has ended.
func (q *Queue) Orders(ctx context.Context, limit int) ([]Order, error) {
	rows, err := q.db.QueryContext(ctx, `WITH RECURSIVE one(principal) AS (
			SELECT min(principal) FROM job_orders
			UNION ALL
			SELECT (SELECT min(o.principal) FROM job_orders o WHERE o.principal > one.principal)
			FROM one WHERE one.principal IS NOT NULL)
		SELECT seq, kind, id FROM (
			SELECT o.seq, o.kind, o.id, row_number() OVER (PARTITION BY o.principal ORDER BY o.seq) AS turn
			FROM one JOIN job_orders o ON o.principal = one.principal AND o.seq <= coalesce((SELECT l.seq
				FROM job_orders l WHERE l.principal = one.principal ORDER BY l.seq LIMIT 1 OFFSET $1), o.seq)) AS t
		ORDER BY turn, seq LIMIT $2`, limit, limit)
	if err != nil {
		return nil, q.db.Explain("list orders", err)
	}
	defer rows.Close()
	var all []Order
	for rows.Next() {
		var o Order
		if err := rows.Scan(&o.Seq, &o.Kind, &o.ID); err != nil {
			return nil, q.db.Explain("list orders", err)
		}
		all = append(all, o)
	}
	return all, q.db.Explain("list orders", rows.Err())
}

// Carried removes stored orders that were carried out.
func (q *Queue) Carried(ctx context.Context, seq ...int64) error {
	if len(seq) == 0 {
		return nil
	}
	marks, args := make([]string, len(seq)), make([]any, len(seq))
	for i, n := range seq {
		marks[i], args[i] = fmt.Sprintf("$%d", i+1), n
	}
	_, err := q.db.ExecContext(ctx, `DELETE FROM job_orders WHERE seq IN (`+strings.Join(marks, ", ")+`)`, args...)
	return q.db.Explain("remove orders", err)
}
