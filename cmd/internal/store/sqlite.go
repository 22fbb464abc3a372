package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/drayage/dray/fault"
)

const readers = 4

// ErrHeld is in the tree of the error of Open if another process uses the file.
var ErrHeld = errors.New("another process holds it")

// dsn returns the data source name of a file. synchronous(FULL) makes a commit durable when it returns.
func dsn(path string, more url.Values) string {
	q := url.Values{"_pragma": {"busy_timeout(5000)", "synchronous(FULL)", "foreign_keys(ON)"}}
	for k, v := range more {
		q[k] = append(q[k], v...)
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func openFile(ctx context.Context, path string) (*DB, error) {
	path, err := absolute(path)
	if err != nil {
		return nil, err
	}
	lock := flock.New(path + ".lock")
	held, err := lock.TryLock()
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "lock database", Name: path, Err: err}
	}
	if !held {
		return nil, &fault.Fault{Kind: fault.Conflict, Op: "open database", Name: path,
			Err:  ErrHeld,
			Hint: "stop the other server, or use a PostgreSQL database for both"}
	}
	d := &DB{release: lock, url: "sqlite:" + path, path: path}
	if err := d.openPools(ctx); err != nil {
		_ = lock.Close() // err says why the database could not be opened
		return nil, err
	}
	return d, nil
}

// absolute makes path absolute, so that a later change of the working directory has no effect.
func absolute(path string) (string, error) {
	if path == "" {
		return "", &fault.Fault{Kind: fault.Invalid, Op: "open database",
			Err: errors.New("the path is missing"), Hint: "write sqlite:PATH"}
	}
	abs, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(filepath.Dir(abs))
	}
	if err != nil {
		return "", &fault.Fault{Kind: fault.Invalid, Op: "open database", Name: path, Err: err}
	}
	return abs, nil
}

func (d *DB) openPools(ctx context.Context) error {
	// The file contains requests and sealed secrets, so only its owner may read it.
	f, err := os.OpenFile(d.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return &fault.Fault{Kind: fault.Invalid, Op: "open database", Name: d.path, Err: err}
	}
	f.Close()
	// In WAL mode, readers do not wait for the writer.
	w, err := sql.Open("sqlite", dsn(d.path, url.Values{
		"_txlock": {"immediate"},
		// auto_vacuum comes first: it must be set before anything is written to a new file.
		"_pragma": {
			"auto_vacuum(INCREMENTAL)", "journal_mode(WAL)", "wal_autocheckpoint(4000)",
			"journal_size_limit(67108864)", "cache_size(-16000)",
		},
	}))
	if err != nil {
		return d.explain("open database", err)
	}
	w.SetMaxOpenConns(1)
	w.SetMaxIdleConns(1)
	if err := w.PingContext(ctx); err != nil {
		w.Close()
		return d.explain("open database", err)
	}
	d.writer = newWriter(w, d.url, incremental(ctx, w, d.path))
	d.DB, err = sql.Open("sqlite", dsn(d.path, url.Values{"_pragma": {"query_only(ON)"}}))
	if err != nil {
		return d.explain("open database", errors.Join(err, d.writer.close()))
	}
	d.DB.SetMaxOpenConns(readers)
	d.DB.SetMaxIdleConns(readers)
	return nil
}

func openFileReadOnly(ctx context.Context, path string) (*DB, error) {
	path, err := absolute(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, &fault.Fault{Kind: fault.NotFound, Op: "open database", Name: path, Err: err}
	}
	d := &DB{url: "sqlite:" + path, path: path}
	// mode=ro would not work: if the last process was killed, SQLite must recover the file from its
	// write-ahead log, which writes to it.
	d.DB, err = sql.Open("sqlite", dsn(path, url.Values{"_pragma": {"query_only(ON)"}}))
	if err != nil {
		return nil, d.explain("open database", err)
	}
	d.DB.SetMaxOpenConns(readers)
	if err := d.PingContext(ctx); err != nil {
		d.DB.Close()
		return nil, d.explain("open database", err)
	}
	return d, nil
}

// Backup writes a consistent copy of a SQLite database to path, which must not exist yet. The database
// can be used in the meantime. Errors are Refused for PostgreSQL, which has its own tools, Conflict if
// path exists, and Full if the copy cannot be completed.
func (d *DB) Backup(ctx context.Context, path string) error {
	if d.Postgres() {
		return &fault.Fault{Kind: fault.Refused, Op: "back up", Name: d.url,
			Err: errors.New("the database is not a SQLite file"), Hint: "use pg_dump"}
	}
	path, err := absolute(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &fault.Fault{Kind: fault.Conflict, Op: "back up to", Name: path, Err: errors.New("the file exists already")}
	}
	// VACUUM INTO writes, which the pool refuses, so it gets a separate connection.
	c, err := sql.Open("sqlite", dsn(d.path, nil))
	if err != nil {
		return d.explain("back up", err)
	}
	defer c.Close()
	c.SetMaxOpenConns(1)
	// The copy can shrink, also if this file cannot. Asking this of a file that can would be a write to it.
	if mode, err := pragma(ctx, c, "auto_vacuum"); err == nil && mode == 0 {
		_, err = c.ExecContext(ctx, `PRAGMA auto_vacuum = INCREMENTAL`)
		if err != nil {
			return d.explain("back up", err)
		}
	}
	part := path + ".part"
	os.Remove(part)
	// VACUUM INTO would create a file that every user can read. It fills an existing empty file, so one
	// with the right mode is created first.
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return &fault.Fault{Kind: fault.Invalid, Op: "back up to", Name: path, Err: err}
	}
	f.Close()
	defer os.Remove(part)
	if _, err := c.ExecContext(ctx, `VACUUM INTO $1`, part); err != nil {
		return d.explain("back up", err)
	}
	return commitFile(part, path)
}

// commitFile syncs part and renames it to path.
func commitFile(part, path string) error {
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return &fault.Fault{Kind: fault.Full, Op: "back up to", Name: path, Err: err}
	}
	return nil
}
