package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/drayage/dray/fault"
)

const (
	connections = 12              // maximum number of connections of one process
	unused      = time.Minute     // after this time without use, a connection is closed
	pingTimeout = 5 * time.Second // the longest wait for a connection that has been idle
)

func openPostgres(ctx context.Context, address string) (*DB, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		// The error of pgx may quote the address, which contains the password.
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "open database", Name: redact(address),
			Err: errors.New("not the address of a PostgreSQL database"), Hint: "write postgres://USER@HOST/NAME"}
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "dray"
	}
	p := &patience{}
	cfg.DialFunc = p.dialer(cfg.RuntimeParams)
	pool := stdlib.OpenDB(*cfg,
		stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error { return p.begin(ctx, c.PgConn()) }),
		stdlib.OptionShouldPing(pingIdle),
		stdlib.OptionResetSession(func(_ context.Context, c *pgx.Conn) error {
			if c.IsClosed() {
				return driver.ErrBadConn
			}
			return nil
		}))
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	pool.SetConnMaxIdleTime(unused)
	d := &DB{DB: pool, patience: p, url: redact(address)}
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, explained("open database", d.url, "", err)
	}
	return d, nil
}

// pingIdle checks whether a connection that has been idle is alive. A connection that is not is closed.
// It does not leave the check to the driver, which would wait as long as the caller's context allows.
func pingIdle(ctx context.Context, p stdlib.ShouldPingParams) bool {
	if p.IdleDuration > time.Second {
		ctx, done := context.WithTimeout(ctx, pingTimeout)
		defer done()
		_ = p.Conn.Ping(ctx) // a connection that failed is closed, and the session is not used
	}
	return false
}

// sessions are the settings of a session. They bound how long a process that is paused or gone, or a
// network that is silent, can hold what others wait for. An address, a role or a database that has a
// setting of its own keeps it; the file of the server does not, because some clouds set a day there.
var sessions = []struct{ name, value string }{
	{"idle_in_transaction_session_timeout", "5s"}, // a process that is paused gives up its locks
	{"lock_timeout", "10s"},
	{"statement_timeout", "60s"},
	{"tcp_keepalives_idle", "10"}, // the server notices a client whose machine is gone
	{"tcp_keepalives_interval", "5"},
	{"tcp_keepalives_count", "3"},
	{"tcp_user_timeout", "20s"},
}

// begin sets the settings of a new session, in one exchange. They are not sent as parameters of the
// start, because a connection pooler refuses those that it does not know.
func (p *patience) begin(ctx context.Context, c *pgconn.PgConn) error {
	var rows []string
	for _, s := range sessions {
		rows = append(rows, "('"+s.name+"', '"+s.value+"')")
	}
	results, err := c.Exec(ctx, `SELECT set_config(name, wanted, false) FROM pg_settings
		JOIN (VALUES `+strings.Join(rows, ", ")+`) AS w (name, wanted) USING (name)
		WHERE source NOT IN ('client', 'user', 'database', 'database user');
		SELECT setting FROM pg_settings WHERE name = 'statement_timeout'`).ReadAll()
	if _, refused := errors.AsType[*pgconn.PgError](err); refused {
		return nil // the server knows no such settings; it is used without them
	}
	if err != nil {
		return fmt.Errorf("settings of the session: %w", err)
	}
	if last := results[len(results)-1].Rows; len(last) == 1 {
		if ms, err := strconv.ParseInt(string(last[0][0]), 10, 64); err == nil {
			p.statement.Store(ms)
		}
	}
	return nil
}

// dialer returns the function that connects to the server. It takes the settings of libpq for the
// client's end from params, because the server would refuse them.
func (p *patience) dialer(params map[string]string) pgconn.DialFunc {
	take := func(name string, preset int) int {
		text, given := params[name]
		if name != userTimeoutName { // the server has a setting of this name too
			delete(params, name)
		}
		if n, err := strconv.Atoi(text); given && err == nil {
			return n
		}
		return preset
	}
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	d := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   take("keepalives", 1) != 0,
			Idle:     seconds(take("keepalives_idle", 10)),
			Interval: seconds(take("keepalives_interval", 5)),
			Count:    take("keepalives_count", 3),
		},
		Control: userTimeout(take(userTimeoutName, 20_000)),
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &path{Conn: c, patience: p}, nil
	}
}

const userTimeoutName = "tcp_user_timeout" // in milliseconds

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
