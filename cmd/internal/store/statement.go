package store

import (
	"context"
	"database/sql"
	"time"
)

// ExecContext runs one statement in its own write transaction. As in Tx, it may run more than once.
func (d *DB) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	var res sql.Result
	err := d.Tx(ctx, func(tx *sql.Tx) (err error) {
		res, err = tx.ExecContext(ctx, query, args...)
		return err
	})
	return res, err
}

// Exec replaces the Exec of the embedded pool, which cannot write.
func (d *DB) Exec(query string, args ...any) (sql.Result, error) {
	return d.ExecContext(context.Background(), query, args...)
}

// Lock takes the lock of the given name until tx ends. Another transaction that asks for the same name
// waits until then. On SQLite it does nothing, because there is a single writer.
func (d *DB) Lock(ctx context.Context, tx *sql.Tx, name string) error {
	if !d.Postgres() {
		return nil
	}
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, "dray/"+name)
	return d.explain("lock", err)
}

// ForUpdate returns the end of a SELECT that reads rows which its transaction will change. It is
// " FOR UPDATE" on PostgreSQL. It is "" on SQLite, which has a single writer and no such clause.
func (d *DB) ForUpdate() string {
	if d.Postgres() {
		return " FOR UPDATE"
	}
	return ""
}

// Now returns the time of PostgreSQL's clock, on which processes of several machines agree. On SQLite
// it returns the local time.
func (d *DB) Now(ctx context.Context) (time.Time, error) {
	if !d.Postgres() {
		return time.Now(), nil
	}
	const clock = `SELECT (extract(epoch FROM clock_timestamp())*1000000)::bigint`
	var us int64
	if err := d.QueryRowContext(ctx, clock).Scan(&us); err != nil {
		return time.Time{}, d.explain("ask the time", err)
	}
	return time.UnixMicro(us), nil
}

// Micros returns t in its stored form, in microseconds since 1970. It returns 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time returns the time of a stored value in UTC. It is the reverse of Micros.
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
