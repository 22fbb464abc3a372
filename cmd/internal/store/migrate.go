package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/drayage/dray/fault"
)

// Migrate creates or updates the tables of room, which is the package that owns them. steps are the
// migrations that create the tables, the oldest first. A step has one or more statements, writes BLOB
// for bytes, and must not be changed once it is released.
//
// The steps that the database does not have yet run in one transaction, under a lock. If the database
// has had more steps than this program knows, the error is Conflict and nothing changes.
func (d *DB) Migrate(ctx context.Context, room string, steps []string) error {
	err := d.Tx(ctx, func(tx *sql.Tx) error {
		if err := d.Lock(ctx, tx, "schema"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx,
			`CREATE TABLE IF NOT EXISTS schemas (room TEXT PRIMARY KEY, version BIGINT NOT NULL)`)
		if err != nil {
			return err
		}
		var have int
		err = tx.QueryRowContext(ctx, `SELECT version FROM schemas WHERE room = $1`, room).Scan(&have)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if have > len(steps) {
			return newer(d.url, room, have, len(steps))
		}
		for i := have; i < len(steps); i++ {
			if err := d.step(ctx, tx, steps[i]); err != nil {
				return fmt.Errorf("step %d of %s: %w", i+1, room, err)
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO schemas (room, version) VALUES ($1, $2)
			ON CONFLICT (room) DO UPDATE SET version = excluded.version`, room, len(steps))
		return err
	})
	return d.explain("migrate", err)
}

// Fits returns the error that Migrate would return because the database has had more steps than this
// program knows. It changes nothing.
func (d *DB) Fits(ctx context.Context, room string, steps []string) error {
	var have int
	err := d.QueryRowContext(ctx, `SELECT version FROM schemas WHERE room = $1`, room).Scan(&have)
	if err == nil && have > len(steps) {
		return newer(d.url, room, have, len(steps))
	}
	return nil // a database without tables fits: Migrate creates them
}

func newer(url, room string, have, know int) error {
	return &fault.Fault{Kind: fault.Conflict, Op: "migrate", Name: url,
		Err: fmt.Errorf("its %s tables have version %d, and this dray knows version %d: "+
			"a newer dray has used the database", room, have, know),
		Hint: "run the newer dray, or restore a backup from before the upgrade"}
}

// step runs the statements of a step one by one, because pgx prepares each, and a prepared statement is
// a single one. No statement may contain a semicolon.
func (d *DB) step(ctx context.Context, tx *sql.Tx, step string) error {
	if d.Postgres() {
		step = strings.ReplaceAll(step, " BLOB", " BYTEA")
	}
	for s := range strings.SplitSeq(step, ";") {
		if strings.TrimSpace(s) == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
