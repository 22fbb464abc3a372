package store

import (
	"context"
	"strings"

	"github.com/drayage/dray/fault"
)

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
