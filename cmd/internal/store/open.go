package store

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
)

// Open opens the database at url, "sqlite:PATH" or "postgres://…". A SQLite file that does not exist is
// created. Errors are Invalid if url cannot be read or the file cannot be created, Conflict if another
// process has the file open, and Unavailable if PostgreSQL does not answer.
func Open(ctx context.Context, url string) (*DB, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return openFile(ctx, path)
	}
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return openPostgres(ctx, url)
	}
	kind, _, found := strings.Cut(url, "://")
	if !found || strings.ContainsAny(kind, " =:@/") {
		kind = "" // the text may contain a password
	}
	return nil, &fault.Fault{Kind: fault.Invalid, Op: "open database", Name: kind,
		Err:  errors.New("neither SQLite nor PostgreSQL"),
		Hint: "write sqlite:PATH or postgres://USER@HOST/NAME"}
}

// OpenWaiting is Open, but if PostgreSQL does not answer, it tries again each second until ctx ends. It logs
// the first failure at once and then one each minute. When ctx ends, the error is the last one of Open. What
// waiting does not mend, such as a wrong password or a missing database, is returned at once.
func OpenWaiting(ctx context.Context, url string, log *slog.Logger) (*DB, error) {
	const pause, each = time.Second, time.Minute
	var told time.Time
	for began := time.Now(); ; {
		d, err := Open(ctx, url)
		if err == nil && !told.IsZero() {
			log.LogAttrs(ctx, slog.LevelWarn, "the database answers", slog.String("database", d.url),
				slog.Duration("waited", time.Since(began)))
		}
		if !fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
			return d, err
		}
		if now := time.Now(); now.Sub(told) >= each {
			told = now
			log.LogAttrs(ctx, slog.LevelWarn, "waiting for the database", slog.Any("err", err),
				slog.String("hint", fault.HintOf(err)))
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// OpenReadOnly opens a database to read it or to back it up, even while another process has it open. On
// SQLite, Tx and ExecContext are Refused, and a file that does not exist is NotFound. PostgreSQL is
// opened as by Open.
func OpenReadOnly(ctx context.Context, url string) (*DB, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return openFileReadOnly(ctx, path)
	}
	return Open(ctx, url)
}

// Close closes the database, and unlocks the file of a SQLite database. It waits for transactions that
// are running. Further calls return the same error.
func (d *DB) Close() error {
	d.closing.Do(func() { d.closed = d.close() })
	return d.closed
}

func (d *DB) close() error {
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
