// Package store is one database, a SQLite file or PostgreSQL, for what the server must not
// forget.
//
// The same statements run on both. Placeholders are $1, $2…; times are int64 microseconds UTC,
// JSON is TEXT, booleans are 0 or 1, ids are ULIDs as TEXT. What is written goes through Tx (or
// ExecContext), which on SQLite takes turns on one connection and shares one fsync between
// those that wait.
package store

import (
	"context"
	"database/sql"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
)

// DB is an open database. The embedded pool is for reading; on SQLite it refuses to write.
type DB struct {
	*sql.DB

	writer  *writer   // SQLite; nil on PostgreSQL
	bus     *bus      // what is said within this process
	wire    *wire     // PostgreSQL; nil on SQLite
	release io.Closer // the lock on a SQLite file; nil when there is none
	url     string    // without a password, for error lines
	path    string    // of a SQLite file

	closing sync.Once
	closed  error
}

// Open opens "sqlite:PATH" or "postgres://…". The file is made when it is not there; a second
// process that opens it is a Conflict. A PostgreSQL that does not answer is Unavailable.
func Open(ctx context.Context, url string) (*DB, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return openFile(ctx, path)
	}
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return openPostgres(ctx, url)
	}
	return nil, &fault.Fault{Kind: fault.Invalid, Op: "open database", Hint: "write sqlite:PATH or postgres://USER@HOST/NAME"}
}

// OpenReadOnly opens a database to look at, beside the process that holds it, or to back it up.
// Tx and ExecContext are Refused.
func OpenReadOnly(ctx context.Context, url string) (*DB, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return openFileReadOnly(ctx, path)
	}
	return Open(ctx, url)
}

// Postgres reports whether other processes may share this database.
func (d *DB) Postgres() bool { return d.wire != nil }

// URL names the database without its password.
func (d *DB) URL() string { return d.url }

// Close ends what was started and gives the file back. Transactions that run are waited for.
func (d *DB) Close() error {
	d.closing.Do(func() { d.closed = d.close() })
	return d.closed
}

func (d *DB) close() error {
	if d.wire != nil {
		d.wire.close()
	}
	d.bus.close()
	var err error
	if d.writer != nil {
		err = d.writer.close()
	}
	if e := d.DB.Close(); err == nil {
		err = e
	}
	if d.release != nil {
		if e := d.release.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return &fault.Fault{Kind: fault.Internal, Op: "close database", Name: d.url, Err: err}
	}
	return nil
}

// ExecContext is one statement in a write transaction of its own. It may run more than once, as
// any Tx.
func (d *DB) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	var res sql.Result
	err := d.Tx(ctx, func(tx *sql.Tx) (err error) {
		res, err = tx.ExecContext(ctx, query, args...)
		return err
	})
	return res, err
}

// Exec hides the pool's, which could not write.
func (d *DB) Exec(query string, args ...any) (sql.Result, error) {
	return d.ExecContext(context.Background(), query, args...)
}

// Lock holds name until tx ends: nobody else who asks for it goes on before. SQLite has one
// writer and needs none.
func (d *DB) Lock(ctx context.Context, tx *sql.Tx, name string) error {
	if !d.Postgres() {
		return nil
	}
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, "dray/"+name)
	return d.explain("lock", err)
}

// ForUpdate is what a SELECT in a Tx ends with when it reads what the transaction will change.
// SQLite, with its one writer, has no such clause.
func (d *DB) ForUpdate() string {
	if d.Postgres() {
		return " FOR UPDATE"
	}
	return ""
}

// Now asks the database what time it is: processes on many machines agree on it.
func (d *DB) Now(ctx context.Context) (time.Time, error) {
	if !d.Postgres() {
		return time.Now(), nil
	}
	var us int64
	if err := d.QueryRowContext(ctx, `SELECT (extract(epoch FROM clock_timestamp())*1000000)::bigint`).Scan(&us); err != nil {
		return time.Time{}, d.explain("ask the time", err)
	}
	return time.UnixMicro(us), nil
}

// Micros is t as it is stored: 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the reverse of Micros, in UTC.
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
