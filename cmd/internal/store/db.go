package store

import (
	"database/sql"
	"io"
	"sync"
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

// Postgres reports whether other processes may share this database.
func (d *DB) Postgres() bool { return d.wire != nil }

// URL names the database without its password.
func (d *DB) URL() string { return d.url }

// Explain is err of a statement as a *fault.Fault: op is a verb phrase, nil stays nil, and what is
// a Fault already comes back as it is.
func (d *DB) Explain(op string, err error) error { return d.explain(op, err) }

// explain is explained, with what a person may look at.
func (d *DB) explain(op string, err error) error {
	hint := ""
	if d.Postgres() {
		hint = "is the database running?"
	}
	return explained(op, d.url, hint, err)
}
