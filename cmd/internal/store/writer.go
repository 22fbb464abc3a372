package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/drayage/dray/fault"
)

// writer gives transactions turns on the only connection that writes to a SQLite file. While one group of
// transactions is committed, the next group gathers. Under load, many transactions share one fsync. A
// single transaction waits for no others.
type writer struct {
	db    *sql.DB
	url   string
	turns chan *turn

	tick    *time.Ticker // when to look for free pages
	shrinks bool         // the file can shrink in steps

	stop  chan struct{}
	ended chan struct{}
}

const maxGroup = 256 // maximum number of transactions in one commit

func newWriter(db *sql.DB, url string, shrinks bool) *writer {
	w := &writer{db: db, url: url, turns: make(chan *turn), stop: make(chan struct{}), ended: make(chan struct{}),
		tick: time.NewTicker(shrinkInterval), shrinks: shrinks}
	go w.run()
	return w
}

func (w *writer) tx(ctx context.Context, f func(*sql.Tx) error) error {
	t := &turn{ctx: ctx, begin: make(chan *sql.Tx), did: make(chan error), end: make(chan error, 1)}
	select {
	case w.turns <- t:
	case <-ctx.Done():
		return &fault.Fault{Kind: fault.Canceled, Op: "write to", Name: w.url, Err: context.Cause(ctx)}
	case <-w.ended:
		return &fault.Fault{Kind: fault.Unavailable, Op: "write to", Name: w.url, Err: errors.New("the database is closed")}
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

// turn is one transaction that waits. Its function f runs on the goroutine that called tx, so a panic
// in f reaches that caller.
type turn struct {
	ctx   context.Context
	begin chan *sql.Tx
	did   chan error
	end   chan error
}

var errPanic = errors.New("the function of the transaction panicked")

func (t *turn) run(tx *sql.Tx, f func(*sql.Tx) error) {
	err := errPanic
	defer func() { t.did <- err }()
	err = f(tx)
}

func (w *writer) run() {
	defer close(w.ended)
	defer w.tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case t := <-w.turns:
			w.group(w.gather(t))
		case <-w.tick.C:
			w.shrink()
		}
	}
}

func (w *writer) gather(first *turn) []*turn {
	group := []*turn{first}
	for len(group) < maxGroup {
		select {
		case t := <-w.turns:
			group = append(group, t)
		default:
			return group
		}
	}
	return group
}

// group runs turns in one transaction, each within a savepoint. If that transaction fails, each turn
// runs again in a separate transaction.
func (w *writer) group(turns []*turn) {
	if len(turns) == 1 {
		w.alone(turns[0])
		return
	}
	ctx := context.Background()
	tx, err := w.db.BeginTx(ctx, nil)
	if err == nil {
		defer tx.Rollback()
		turns, err = w.each(ctx, tx, turns)
	}
	if err == nil {
		if err = tx.Commit(); err == nil {
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

// each runs the turns and returns those that succeeded, which are then to be committed. With an error,
// it returns the turns that must run alone instead. A turn whose own function failed has already
// received its error and is not returned.
func (w *writer) each(ctx context.Context, tx *sql.Tx, turns []*turn) ([]*turn, error) {
	var good []*turn
	for i, t := range turns {
		if t.ctx.Err() != nil {
			t.end <- &fault.Fault{Kind: fault.Canceled, Op: "write to", Name: w.url, Err: context.Cause(t.ctx)}
			continue
		}
		if _, err := tx.ExecContext(ctx, `SAVEPOINT turn`); err != nil {
			return append(good, turns[i:]...), err
		}
		t.begin <- tx
		failed := <-t.did
		if failed == nil {
			good = append(good, t)
		} else {
			t.end <- failed
			// An interrupted statement may have rolled back the whole transaction. Then there is no
			// savepoint left.
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
		return false, &fault.Fault{Kind: fault.Canceled, Op: "write to", Name: w.url, Err: context.Cause(t.ctx)}
	}
	tx, err := w.db.BeginTx(context.Background(), nil)
	if err != nil {
		_, again := sqliteKind(err)
		return again, explained("begin", w.url, "", err)
	}
	defer tx.Rollback()
	t.begin <- tx
	if err := <-t.did; err != nil {
		_, again := sqliteKind(err)
		return again, err
	}
	if err := tx.Commit(); err != nil {
		_, again := sqliteKind(err)
		err = explained("commit", w.url, "", err)
		if !again {
			err = uncertain(err) // what was written before the error may be found when the file is opened again
		}
		return again, err
	}
	return false, nil
}

func (w *writer) close() error {
	close(w.stop)
	<-w.ended
	return w.db.Close()
}

// shrink gives free pages at the end of the file back to the file system, a few at a time. It runs between
// two groups of transactions.
func (w *writer) shrink() {
	next := shrinkInterval
	defer func() { w.tick.Reset(next) }()
	ctx := context.Background() // a step takes milliseconds
	free, err := pragma(ctx, w.db, "freelist_count")
	if err != nil || free <= slack || !w.shrinks {
		return
	}
	if giveBack(ctx, w.db, min(shrinkStep, free-slack)) != nil {
		return
	}
	if free > slack+shrinkStep {
		next = shrinkPause
		return
	}
	// The file itself gets smaller when the log is copied into it. PASSIVE waits for nobody.
	_, _ = w.db.ExecContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`)
}
