package store

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
)

// explained returns a database's error as a Fault. A nil error and a Fault are returned unchanged. hint
// is used if the database is Unavailable.
func explained(op, url, hint string, err error) error {
	var f *fault.Fault
	if err == nil || errors.As(err, &f) {
		return err
	}
	out := &fault.Fault{Kind: kindOf(err), Op: op, Name: url, Err: err}
	if out.Kind == fault.Unavailable {
		out.Hint = hint
	}
	switch kind, _ := sqliteKind(err); kind {
	case fault.Full:
		out.Hint = "free space on the disk of the database; nothing was changed"
	case fault.Corrupt:
		out.Hint = "stop the server, and restore a backup with " + shell.Dray("serve", "restore", "DIR")
	}
	// The driver repeats the address for each attempt. The first attempt says enough.
	var dial *pgconn.ConnectError
	if op, ok := errors.AsType[*net.OpError](err); ok && errors.As(err, &dial) {
		out.Err = op
		out.Hint = cmp.Or(hint, "check that PostgreSQL is running at this address, and that no firewall blocks this machine")
	}
	return out
}

func kindOf(err error) fault.Kind {
	if errors.Is(err, context.Canceled) {
		return fault.Canceled
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Unavailable
	}
	if k, _ := sqliteKind(err); k != "" {
		return k
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return postgresKind(pg.Code)
	}
	if postgresVerdict(err) != no {
		return fault.Unavailable
	}
	return fault.Internal
}

// postgresKind returns the Kind of an SQLSTATE code.
func postgresKind(code string) fault.Kind {
	switch {
	case strings.HasPrefix(code, "23"):
		return fault.Conflict
	case strings.HasPrefix(code, "28"), code == "42501":
		return fault.Denied
	case code == "22021", code == "22P05": // bytes that are not valid text
		return fault.Invalid
	case code == "3D000":
		return fault.NotFound
	case code == "53100":
		return fault.Full
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57"),
		strings.HasPrefix(code, "40"), code == "55P03":
		return fault.Unavailable
	case code == "25P03": // idle in a transaction for too long
		return fault.Unavailable
	case code == "25006":
		return fault.Unavailable // read only: during a fail-over, this is a standby for a moment
	}
	return fault.Internal
}

// sqliteKind returns the Kind of a SQLite error, or "" if err is no SQLite error. again reports whether
// the transaction may be run again.
func sqliteKind(err error) (kind fault.Kind, again bool) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return "", false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fault.Unavailable, true
	case sqlite3.SQLITE_CONSTRAINT:
		return fault.Conflict, false
	case sqlite3.SQLITE_FULL:
		return fault.Full, false
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fault.Corrupt, false
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return fault.Unavailable, false
	case sqlite3.SQLITE_READONLY:
		return fault.Refused, false
	case sqlite3.SQLITE_INTERRUPT:
		return fault.Canceled, false
	}
	return fault.Internal, false
}

// verdict says whether a failed transaction may be run again. It may if it changed nothing.
type verdict int

const (
	no    verdict = iota
	soon          // it collided with another transaction
	later         // the database is not reachable
)

const outage = 5 * time.Second // how long a transaction is retried while the database is not reachable

// postgresVerdict returns the verdict on an error that occurred before the commit was sent, so that
// nothing was changed.
func postgresVerdict(err error) verdict {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pg.Code == "40001", pg.Code == "40P01",
			pg.Code == "25P03": // this process was paused, and the server has ended the transaction
			return soon
		case strings.HasPrefix(pg.Code, "08"), pg.Code == "53300", pg.Code == "25006",
			pg.Code == "57P01", pg.Code == "57P02", pg.Code == "57P03":
			return later
		}
		return no
	}
	var dial *pgconn.ConnectError
	var network net.Error
	broken := errors.As(err, &dial) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn) ||
		pgconn.SafeToRetry(err) || err.Error() == "conn closed"
	if broken && !errors.Is(err, context.Canceled) {
		return later
	}
	return no
}

// ErrUncertain is contained in the error of a Tx that may have taken effect.
var ErrUncertain = errors.New("the database has not confirmed the change, which may have taken effect")

func uncertain(err error) error {
	var f *fault.Fault
	if errors.As(err, &f) && (f.Kind == fault.Unavailable || f.Kind == fault.Canceled) {
		f.Err = fmt.Errorf("%w: %w", ErrUncertain, f.Err)
		f.Hint = "look before you repeat it, for a job with " + shell.Dray("jobs", "list") +
			"; a request with the same idempotency key is never carried out twice"
	}
	return err
}
