package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/drayage/dray/fault"
)

const (
	connections = 12 // of one process, with one more to listen on
	idle        = 4
)

func openPostgres(ctx context.Context, address string) (*DB, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		// pgx's error may quote the address, and with it the password.
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "open database", Name: redact(address), Err: errors.New("not an address of PostgreSQL"),
			Hint: "write postgres://USER@HOST/NAME"}
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "dray"
	}
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(idle)
	pool.SetConnMaxIdleTime(time.Minute)
	d := &DB{DB: pool, bus: newBus(), url: redact(address)}
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, d.explain("open database", err)
	}
	d.wire = newWire(d, cfg)
	return d, nil
}

func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "postgres://…"
	}
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.User != nil {
		clean.User = url.User(u.User.Username())
	}
	return clean.String()
}

// explain makes a Fault of a database's error; nil stays nil, and a Fault as it is.
func (d *DB) explain(op string, err error) error {
	var f *fault.Fault
	if err == nil || errors.As(err, &f) {
		return err
	}
	out := &fault.Fault{Kind: d.kind(err), Op: op, Name: d.url, Err: err}
	if out.Kind == fault.Unavailable && d.Postgres() {
		out.Hint = "is the database running?"
	}
	return out
}

// Explain is err of a statement as a *fault.Fault: op is a verb phrase, nil stays nil, and what is
// a Fault already comes back as it is.
func (d *DB) Explain(op string, err error) error { return d.explain(op, err) }

func (d *DB) kind(err error) fault.Kind {
	if errors.Is(err, context.Canceled) {
		return fault.Canceled
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Unavailable
	}
	if k, _ := sqliteKind(err); k != "" {
		return k
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return postgresKind(pg.Code)
	}
	if postgresVerdict(err) != no {
		return fault.Unavailable
	}
	return fault.Internal
}

// postgresKind reads an SQLSTATE.
func postgresKind(code string) fault.Kind {
	switch {
	case strings.HasPrefix(code, "23"):
		return fault.Conflict
	case strings.HasPrefix(code, "28"), code == "42501":
		return fault.Denied
	case code == "22021", code == "22P05": // bytes that are no text
		return fault.Invalid
	case code == "3D000":
		return fault.NotFound
	case code == "53100":
		return fault.Full
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57"), strings.HasPrefix(code, "40"), code == "55P03":
		return fault.Unavailable
	case code == "25006":
		return fault.Unavailable // a stand-by, for a moment, in a fail-over
	}
	return fault.Internal
}

// postgresVerdict is asked of what failed before a commit was sent: then nothing was changed.
func postgresVerdict(err error) verdict {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "40001", pg.Code == "40P01":
			return soon
		case strings.HasPrefix(pg.Code, "08"), pg.Code == "53300", pg.Code == "25006",
			pg.Code == "57P01", pg.Code == "57P02", pg.Code == "57P03":
			return later
		}
		return no
	}
	var dial *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &dial) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, driver.ErrBadConn) || pgconn.SafeToRetry(err) || err.Error() == "conn closed" {
		if errors.Is(err, context.Canceled) {
			return no
		}
		return later
	}
	return no
}
