package store

import (
	"context"
	"database/sql"
	"time"
)

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
