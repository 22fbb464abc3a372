package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/drayage/dray/fault"
)

// Tx runs f in a write transaction. If Tx returns nil, the transaction is committed and durable. If f
// returns an error, the transaction is rolled back, and Tx returns that error unchanged.
//
// f may run more than once, so it must set every variable that it changes anew each time. f must use the
// database only through tx; with another connection it could wait forever.
//
// On PostgreSQL the isolation level is READ COMMITTED. Use ForUpdate or Lock for the rows on which f
// bases a decision. On SQLite one f runs at a time, and transactions that wait share one commit.
//
// If the answer to the commit was lost, the error contains ErrUncertain. The error is Refused if the
// database was opened with OpenReadOnly.
func (d *DB) Tx(ctx context.Context, f func(*sql.Tx) error) error {
	switch {
	case d.writer != nil:
		return d.writer.tx(ctx, f)
	case d.Postgres():
		return d.txRetried(ctx, f)
	}
	return &fault.Fault{Kind: fault.Refused, Op: "write to", Name: d.url,
		Err: errors.New("the database is open for reading only")}
}

func (d *DB) txRetried(ctx context.Context, f func(*sql.Tx) error) error {
	until := time.Now().Add(outage)
	for n := 1; ; n++ {
		again, err := d.txOnce(ctx, f)
		if again == no || again == soon && n == attempts || again == later && time.Now().After(until) || ctx.Err() != nil {
			return err
		}
		longest := int64(min(n, 10))
		pause := time.Duration(rand.Int64N(longest)+1) * 2 * time.Millisecond //nolint:gosec // spreads the load
		if again == later {
			pause = 100 * time.Millisecond
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

const attempts = 12 // how often a transaction runs that collides with others

func (d *DB) txOnce(ctx context.Context, f func(*sql.Tx) error) (verdict, error) {
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return postgresVerdict(err), d.explain("begin", err)
	}
	defer tx.Rollback() // after a commit it has no effect; it also covers a panic in f
	if err := f(tx); err != nil {
		return postgresVerdict(err), err
	}
	if err := tx.Commit(); err != nil {
		if v := postgresVerdict(err); v == soon {
			return soon, d.explain("commit", err) // the server has said that it rolled back
		}
		return no, uncertain(d.explain("commit", err))
	}
	return no, nil
}
