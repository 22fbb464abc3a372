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

// dsn: WAL lets readers go on beside the writer; FULL makes a commit durable when it returns.
func dsn(path string, more url.Values) string {
	q := url.Values{"_pragma": {"busy_timeout(5000)", "synchronous(FULL)", "foreign_keys(ON)"}}
	for k, v := range more {
		q[k] = append(q[k], v...)
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func openFile(ctx context.Context, path string) (*DB, error) {
	path, err := settle(path)
	if err != nil {
		return nil, err
	}
	lock := flock.New(path + ".lock")
	held, err := lock.TryLock()
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "lock database", Name: path, Err: err}
	}
	if !held {
		return nil, &fault.Fault{Kind: fault.Conflict, Op: "open database", Name: path, Err: errors.New("another process holds it"),
			Hint: "stop the other server, or let both use one PostgreSQL"}
	}
	d := &DB{bus: newBus(), release: lock, url: "sqlite:" + path, path: path}
	if err := d.openPools(ctx); err != nil {
		lock.Close()
		return nil, err
	}
	return d, nil
}

// settle makes path absolute, so that a later change of directory means nothing.
func settle(path string) (string, error) {
	if path == "" {
		return "", &fault.Fault{Kind: fault.Invalid, Op: "open database", Hint: "write sqlite:PATH"}
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
	// The file holds requests and sealed secrets: nobody else's to read.
	f, err := os.OpenFile(d.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return &fault.Fault{Kind: fault.Invalid, Op: "open database", Name: d.path, Err: err}
	}
	f.Close()
	w, err := sql.Open("sqlite", dsn(d.path, url.Values{"_txlock": {"immediate"}, "_pragma": {"journal_mode(WAL)", "wal_autocheckpoint(4000)", "cache_size(-16000)"}}))
	if err != nil {
		return d.explain("open database", err)
	}
	w.SetMaxOpenConns(1)
	w.SetMaxIdleConns(1)
	if err := w.PingContext(ctx); err != nil {
		w.Close()
		return d.explain("open database", err)
	}
	d.writer = newWriter(w, d.bus, d.url)
	d.DB, err = sql.Open("sqlite", dsn(d.path, url.Values{"_pragma": {"query_only(ON)"}}))
	if err != nil {
		return d.explain("open database", errors.Join(err, d.writer.close()))
	}
	d.DB.SetMaxOpenConns(readers)
	d.DB.SetMaxIdleConns(readers)
	return nil
}

func openFileReadOnly(ctx context.Context, path string) (*DB, error) {
	path, err := settle(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, &fault.Fault{Kind: fault.NotFound, Op: "open database", Name: path, Err: err}
	}
	d := &DB{bus: newBus(), url: "sqlite:" + path, path: path}
	// Not mode=ro: a file whose process was killed needs its log read in, and that writes.
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

// Backup writes a copy of a SQLite database, as of now, to path, which must not be there yet. It
// runs beside everything else. For PostgreSQL it is Refused: that has tools of its own.
func (d *DB) Backup(ctx context.Context, path string) error {
	if d.Postgres() {
		return &fault.Fault{Kind: fault.Refused, Op: "back up", Name: d.url, Err: errors.New("not a file"), Hint: "use pg_dump"}
	}
	path, err := settle(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &fault.Fault{Kind: fault.Conflict, Op: "back up to", Name: path, Err: errors.New("it is there already")}
	}
	// A connection of its own: VACUUM INTO writes, and the pool does not.
	c, err := sql.Open("sqlite", dsn(d.path, nil))
	if err != nil {
		return d.explain("back up", err)
	}
	defer c.Close()
	part := path + ".part"
	os.Remove(part)
	// What it makes would be everybody's to read; an empty file of ours is filled instead.
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

// commitFile makes part durable under its name.
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
