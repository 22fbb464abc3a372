package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/drayage/dray/fault"
)

// Tx runs f in a write transaction: committed and durable when Tx returns nil, undone when f
// returns an error, which comes back as it is. f may run more than once, so it must only change
// what it sets anew each time. It asks the database through tx alone: another connection may be
// what it would wait for forever.
//
// On PostgreSQL the isolation is READ COMMITTED: read with ForUpdate, or Lock, what f decides by.
// On SQLite one f runs at a time, and those that wait share one commit. A commit whose answer was
// lost has ErrUncertain in its error.
func (d *DB) Tx(ctx context.Context, f func(*sql.Tx) error) error {
	switch {
	case d.writer != nil:
		return d.writer.tx(ctx, f)
	case d.wire != nil:
		return d.txRetried(ctx, f)
	}
	return &fault.Fault{Kind: fault.Refused, Op: "write to", Name: d.url, Err: errors.New("opened to be read")}
}

func (d *DB) txRetried(ctx context.Context, f func(*sql.Tx) error) error {
	until := time.Now().Add(outage)
	for n := 1; ; n++ {
		again, err := d.txOnce(ctx, f)
		if again == no || again == soon && n == attempts || again == later && time.Now().After(until) || ctx.Err() != nil {
			return err
		}
		pause := time.Duration(rand.Int64N(int64(min(n, 10)))+1) * 2 * time.Millisecond
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

const attempts = 12 // for a transaction that the database turned away

func (d *DB) txOnce(ctx context.Context, f func(*sql.Tx) error) (verdict, error) {
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return postgresVerdict(err), d.explain("begin", err)
	}
	d.bus.begin(tx)
	defer d.bus.forget(tx)
	defer tx.Rollback() // after a commit it does nothing; it is for a panic in f, too
	if err := f(tx); err != nil {
		return postgresVerdict(err), err
	}
	said := d.bus.said(tx)
	if err := tx.Commit(); err != nil {
		if v := postgresVerdict(err); v == soon {
			return soon, d.explain("commit", err)
		}
		return no, uncertain(d.explain("commit", err))
	}
	d.send(said)
	return no, nil
}

// ErrUncertain is within the error of a Tx that may have taken effect.
var ErrUncertain = errors.New("it may have taken effect")

func uncertain(err error) error {
	var f *fault.Fault
	if errors.As(err, &f) && (f.Kind == fault.Unavailable || f.Kind == fault.Canceled) {
		f.Err = fmt.Errorf("%w: %w", ErrUncertain, f.Err)
	}
	return err
}
