package job

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// Draw takes up to want tokens from a token bucket. Each token allows one request of one class to a
// registry under one identity. All workers share the bucket, which gains rate tokens a second, up to
// burst.
//
// got is the number of tokens taken. They may be used at any later time, so a worker draws several at
// once and does not need the database for each request. If got is 0, wait is the time until the next
// token.
func (q *Queue) Draw(
	ctx context.Context, registry, identity, class string, rate float64, burst, want int,
) (got int, wait time.Duration, err error) {
	if rate <= 0 || burst < 1 || want < 1 {
		return 0, 0, &fault.Fault{Kind: fault.Internal, Op: "draw from budget", Name: registry,
			Err: errors.New("rate, burst and want must be positive")}
	}
	err = q.db.Tx(ctx, func(tx *sql.Tx) error {
		got, wait = 0, 0
		now := q.now()
		// A new bucket is full.
		if _, err := tx.ExecContext(ctx, `INSERT INTO budgets (registry, identity, class, tokens, refilled)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			registry, identity, class, float64(burst), store.Micros(now)); err != nil {
			return err
		}
		var tokens float64
		var refilled int64
		if err := tx.QueryRowContext(ctx, `SELECT tokens, refilled FROM budgets
			WHERE registry = $1 AND identity = $2 AND class = $3`+q.db.ForUpdate(),
			registry, identity, class).Scan(&tokens, &refilled); err != nil {
			return err
		}
		// If the clock of another process was ahead, no time has passed since the last refill. Time is
		// never counted twice.
		since := max(0, now.Sub(store.Time(refilled)))
		tokens = min(float64(burst), tokens+rate*since.Seconds())
		if got = min(want, int(math.Floor(tokens))); got == 0 {
			wait = time.Duration((1 - tokens) / rate * float64(time.Second))
		}
		_, err := tx.ExecContext(ctx, `UPDATE budgets SET tokens = $1, refilled = $2
			WHERE registry = $3 AND identity = $4 AND class = $5`,
			tokens-float64(got), max(refilled, store.Micros(now)), registry, identity, class)
		return err
	})
	if err != nil {
		return 0, 0, q.db.Explain("draw from budget", err)
	}
	return got, wait, nil
}
