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

const (
	attempts = 12              // for a transaction that the database turned away
	outage   = 5 * time.Second // how long a transaction waits for a database that is gone
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

// verdict says whether a transaction that failed may be run again, having changed nothing.
type verdict int

const (
	no    verdict = iota
	soon          // it met another transaction
	later         // the database is gone
)

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

// writer takes turns on the one connection that writes to a SQLite file. While one group is
// being committed the next gathers: under load many transactions share an fsync, and alone one
// waits for nobody.
type writer struct {
	db    *sql.DB
	of    *DB
	turns chan *turn
	stop  chan struct{}
	ended chan struct{}
}

// turn is one transaction that waits. f runs on the goroutine of whoever asked for it: a panic
// there is theirs.
type turn struct {
	ctx   context.Context
	begin chan *sql.Tx
	did   chan error
	end   chan error
}

const together = 256 // transactions to one commit

func newWriter(db *sql.DB, of *DB) *writer {
	w := &writer{db: db, of: of, turns: make(chan *turn), stop: make(chan struct{}), ended: make(chan struct{})}
	go w.run()
	return w
}

func (w *writer) close() error {
	close(w.stop)
	<-w.ended
	return w.db.Close()
}

func (w *writer) tx(ctx context.Context, f func(*sql.Tx) error) error {
	t := &turn{ctx: ctx, begin: make(chan *sql.Tx), did: make(chan error), end: make(chan error, 1)}
	select {
	case w.turns <- t:
	case <-ctx.Done():
		return &fault.Fault{Kind: fault.Canceled, Op: "write to", Name: w.of.url, Err: context.Cause(ctx)}
	case <-w.ended:
		return &fault.Fault{Kind: fault.Unavailable, Op: "write to", Name: w.of.url, Err: errors.New("closed")}
	}
	for {
		select {
		case tx := <-t.begin:
			t.run(tx, f)
		case err := <-t.end:
			return err
		}
	}
}

var errPanic = errors.New("it panicked")

func (t *turn) run(tx *sql.Tx, f func(*sql.Tx) error) {
	err := errPanic
	defer func() { t.did <- err }()
	err = f(tx)
}

func (w *writer) run() {
	defer close(w.ended)
	for {
		select {
		case <-w.stop:
			return
		case t := <-w.turns:
			w.group(w.gather(t))
		}
	}
}

func (w *writer) gather(first *turn) []*turn {
	group := []*turn{first}
	for len(group) < together {
		select {
		case t := <-w.turns:
			group = append(group, t)
		default:
			return group
		}
	}
	return group
}

// group runs turns in one transaction, each within a savepoint. Where the whole breaks, each of
// them gets a transaction of its own.
func (w *writer) group(turns []*turn) {
	if len(turns) == 1 {
		w.alone(turns[0])
		return
	}
	ctx := context.Background()
	tx, err := w.db.BeginTx(ctx, nil)
	if err == nil {
		w.of.bus.begin(tx)
		defer w.of.bus.forget(tx)
		defer tx.Rollback()
		turns, err = w.each(ctx, tx, turns)
	}
	if err == nil {
		said := w.of.bus.said(tx)
		if err = tx.Commit(); err == nil {
			w.of.send(said)
			for _, t := range turns {
				t.end <- nil
			}
			return
		}
	}
	if tx != nil {
		tx.Rollback()
	}
	for _, t := range turns {
		w.alone(t)
	}
}

// each returns the turns that are to be committed, or to be run alone when there is an error.
// Those that failed by themselves were told.
func (w *writer) each(ctx context.Context, tx *sql.Tx, turns []*turn) ([]*turn, error) {
	var good []*turn
	for i, t := range turns {
		if t.ctx.Err() != nil {
			t.end <- &fault.Fault{Kind: fault.Canceled, Op: "write to", Name: w.of.url, Err: context.Cause(t.ctx)}
			continue
		}
		if _, err := tx.ExecContext(ctx, `SAVEPOINT turn`); err != nil {
			return append(good, turns[i:]...), err
		}
		mark := w.of.bus.mark(tx)
		t.begin <- tx
		failed := <-t.did
		if failed == nil {
			good = append(good, t)
		} else {
			w.of.bus.cut(tx, mark)
			t.end <- failed
			// A statement that was interrupted may have undone everybody's: then there is no savepoint.
			if _, err := tx.ExecContext(ctx, `ROLLBACK TO turn`); err != nil {
				return append(good, turns[i+1:]...), err
			}
		}
		if _, err := tx.ExecContext(ctx, `RELEASE turn`); err != nil {
			return append(good, turns[i+1:]...), err
		}
	}
	return good, nil
}

func (w *writer) alone(t *turn) {
	until := time.Now().Add(outage)
	for {
		again, err := w.once(t)
		if !again || t.ctx.Err() != nil || time.Now().After(until) {
			t.end <- err
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *writer) once(t *turn) (again bool, err error) {
	if t.ctx.Err() != nil {
		return false, &fault.Fault{Kind: fault.Canceled, Op: "write to", Name: w.of.url, Err: context.Cause(t.ctx)}
	}
	tx, err := w.db.BeginTx(context.Background(), nil)
	if err != nil {
		_, again := sqliteKind(err)
		return again, w.of.explain("begin", err)
	}
	w.of.bus.begin(tx)
	defer w.of.bus.forget(tx)
	defer tx.Rollback()
	t.begin <- tx
	if err := <-t.did; err != nil {
		_, again := sqliteKind(err)
		return again, err
	}
	said := w.of.bus.said(tx)
	if err := tx.Commit(); err != nil {
		_, again := sqliteKind(err)
		return again, w.of.explain("commit", err)
	}
	w.of.send(said)
	return false, nil
}
