package store

import (
	"database/sql"
	"io"
	"sync"
)

// DB is an open database. Use the embedded pool to read; on SQLite it refuses writes. A DB is safe for
// concurrent use.
type DB struct {
	*sql.DB

	writer   *writer   // of a SQLite file; nil on PostgreSQL and if opened to read only
	patience *patience // of the connections to PostgreSQL; nil on SQLite
	release  io.Closer // the lock of a SQLite file; nil if there is none
	url      string    // without the password, for errors
	path     string    // path of a SQLite file

	closing sync.Once
	closed  error
}

// Postgres reports whether the database is PostgreSQL, which several processes may share.
func (d *DB) Postgres() bool { return d.patience != nil }

// URL returns the address of the database without its password.
func (d *DB) URL() string { return d.url }

// Explain returns the error of a statement as a *fault.Fault. op is a verb phrase such as "get job". A
// nil error and an error that contains a Fault are returned unchanged.
func (d *DB) Explain(op string, err error) error { return d.explain(op, err) }

// explain calls explained with a hint for PostgreSQL.
func (d *DB) explain(op string, err error) error {
	hint := ""
	if d.Postgres() {
		hint = "check that the database is running"
	}
	return explained(op, d.url, hint, err)
}
