package store

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/drayage/dray/fault"
)

const (
	connections = 12 // maximum number of connections of one process; one more listens for notifications
	idle        = 4  // maximum number of idle connections
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
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(idle)
	pool.SetConnMaxIdleTime(time.Minute)
	d := &DB{DB: pool, bus: newBus(), url: redact(address)}
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, d.explain("open database", err)
	}
	d.wire = newWire(pool, d.bus, cfg)
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
