package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
)

// Engine decides when and where the jobs of a Queue run. It is safe for concurrent use.
type Engine interface {
	// Order notes what must be done after tx has been committed. It may be called again with the same order,
	// if the transaction is repeated.
	Order(ctx context.Context, tx *sql.Tx, o Order) error
	// Kick says that orders were committed. The engine carries them out soon; Kick does not wait for that.
	Kick()
	// Work runs jobs, up to slots at a time, until ctx ends. It then begins no more, and returns when those
	// that run have ended; the Queue sees to it that they do. With slots of 0 or less it runs no jobs, and
	// only carries out orders. Queue.Work calls it.
	Work(ctx context.Context, slots int, run Runner) error
	// Ready says why no job can be started now. It returns nil if the engine answers.
	Ready(ctx context.Context) error
	// Close ends the engine's connections.
	Close() error
}

// OrderKind says what an Order is about.
type OrderKind string

// The kinds of orders.
const (
	OrderStart    OrderKind = "start"    // a job was queued
	OrderCancel   OrderKind = "cancel"   // the cancel of a job was requested, or the job is already canceled
	OrderSchedule OrderKind = "schedule" // a schedule was created, changed, paused, resumed or deleted
)

// Order is something that an engine must do. The engine reads the row of the job or the schedule for the
// rest.
type Order struct {
	Seq       int64 // set by Orders
	Kind      OrderKind
	ID        string // of the job or the schedule
	Principal string // of a job that was queued; "" for other kinds; Orders does not set it
}

// Runner carries out jobs. Only an engine with several workers calls Split, Part and Sum.
//
// The context of each method ends when the job is canceled, when another attempt has the job, or when Work
// was stopped and Config.Grace is over. context.Cause says which. If another attempt has the job, the
// outcome is ignored.
type Runner interface {
	// Run carries out a whole job.
	Run(ctx context.Context, r *Run) Outcome
	// Split divides a job into parts that several workers can carry out at the same time. It calls emit with
	// each part, as JSON without secrets, in the order in which they are best begun. whole is true if the
	// job is not divided; then Run carries it out. out.State is set if the job has ended here, such as by
	// an error.
	Split(ctx context.Context, r *Run, emit func(part json.RawMessage) error) (whole bool, out Outcome)
	// Part carries out one part of a job. r is a run of that part. The report of the outcome is kept for Sum.
	Part(ctx context.Context, r *Run, part json.RawMessage) Outcome
	// Sum returns the outcome of a job from those of its parts, in their order, also after a cancel. The
	// State of a part that was not carried out is Queued, Waiting or Running. A cancel does not end ctx;
	// r.CancelRequested tells of it.
	Sum(ctx context.Context, r *Run, parts iter.Seq2[Outcome, error]) Outcome
}

// Claim says what an attempt is about.
type Claim struct {
	ID     string
	Part   int  // 0: the whole job (Run, Split, Sum); else the number of the part, from 1
	Resume bool // the attempt goes on after the parts of the job: it is not a new one (Sum)
	// Fence asks the engine whether this attempt is the present one; if nil, only the database is asked.
	Fence func(ctx context.Context) error
}

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
