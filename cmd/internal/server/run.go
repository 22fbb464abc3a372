package server

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server/guest"
)

// Run serves until ctx ends and then returns nil. When ctx ends, it accepts no new connections, ends the event streams
// and waits up to c.Grace for running requests and jobs. Then it closes the remaining connections and gives unfinished
// jobs back to the queue. A client can resume an interrupted upload after the next start.
//
// While a PostgreSQL does not answer at the start, Run waits for it. /healthz answers meanwhile, and /readyz
// says what Run waits for.
//
// Errors are Invalid for a Config that cannot work or that would let anybody on the network in,
// Conflict if the address, the directory or the database is in use by another process, and the errors
// of opening the directory and the database.
func Run(ctx context.Context, c Config) error {
	c, err := c.filled()
	if err == nil {
		err = c.checkEngine()
	}
	if err == nil {
		err = c.mayListen(unknownUsers)
	}
	if err == nil {
		err = guest.Files(c.Files).Check()
	}
	if err != nil {
		return err
	}
	l, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	return run(ctx, c, l)
}

// Worker runs the jobs of servers that share an engine and a database with it, until ctx ends, and then
// returns nil. It has no registry and accepts no requests, except health checks and metrics at c.Ops. Jobs that
// touch the registry of a server run on that server, unless it runs no jobs: then a worker reaches that registry
// over HTTP like any other, with a login from c.Dray.
//
// Errors are those of Run.
func Worker(ctx context.Context, c Config) error {
	if c.Engine == "" && (c.Database == "" || isFile(c.Database)) {
		name, why := c.databaseFrom(), "a worker cannot share a database file with a server"
		if c.Database == "" {
			name, why = "--engine and --database", "a worker needs the engine and the PostgreSQL database of its servers"
		}
		return configFault(name, "start the servers and the worker with --engine temporal://HOST:7233/NAMESPACE and "+
			"--database postgres://USER@HOST/NAME", errors.New(why))
	}
	if c.Slots < 0 {
		return configFault("--slots", "give it a number above 0, or leave it out for 4",
			errors.New("a worker that runs no jobs has nothing to do"))
	}
	c, err := c.filled()
	if err == nil {
		err = c.checkEngine()
	}
	if err != nil {
		return err
	}
	return run(ctx, c, nil)
}

// run opens everything and serves until ctx ends. l is nil for a worker.
func run(ctx context.Context, c Config, l net.Listener) (err error) {
	p := &parts{config: c}
	// Close last: it waits for the handlers and jobs that stop has interrupted.
	defer func() { err = errors.Join(err, p.close()) }()
	s := &serving{
		parts:   p,
		streams: guest.NewStreams(),
		held:    access.NewPlaces(c.PerPrincipal.Held),
		failed:  make(chan error, 4), // as many as write to it
	}
	if err := s.listen(ctx, l); err != nil {
		return err
	}
	err = s.begin(ctx, l)
	switch {
	case err != nil && ctx.Err() != nil:
		err = nil // ctx ended before the process was up
	case err == nil && c.Ready != nil:
		c.Ready(s.readyAt(l))
	}
	if err == nil {
		select {
		case err = <-s.failed:
		case <-ctx.Done():
		}
	}
	s.stop(ctx)
	return err
}

// begin opens the parts and begins to answer requests and to run jobs.
func (s *serving) begin(ctx context.Context, l net.Listener) error {
	var addr net.Addr
	if l != nil {
		addr = l.Addr()
	}
	if err := s.parts.open(ctx, addr); err != nil {
		return err
	}
	if l != nil {
		if err := s.mayListen(ctx); err != nil {
			return err
		}
		if s.config.Schedules != nil {
			if err := s.putSchedules(ctx); err != nil {
				return err
			}
		}
		s.certs.Use(s.access)
		s.main.Open(s.routes())
	}
	s.ops.Open(s.opsRoutes())
	s.startJobs(ctx)
	text := "working"
	if l != nil {
		text = "serving"
	}
	s.tellSpace(ctx)
	s.config.Log.LogAttrs(ctx, slog.LevelInfo, text, slog.Any("addr", s.readyAt(l)), slog.String("data", s.config.Data),
		slog.Bool("tls", s.config.TLS.Cert != ""), slog.String("database", s.db.URL()), slog.Int("slots", s.config.Slots))
	return nil
}

// tellSpace says in the log how much space is free for pushes.
func (s *serving) tellSpace(ctx context.Context) {
	if s.reg == nil {
		return
	}
	if f, known := space(s.reg.State()); known {
		at := slog.LevelInfo
		if !f.OK {
			at = slog.LevelWarn
		}
		s.config.Log.LogAttrs(ctx, at, "space", slog.String("text", f.Text))
	}
}

// readyAt returns the address of the process for Config.Ready: that of clients, else that of operators, which may be
// nil.
func (s *serving) readyAt(l net.Listener) net.Addr {
	if l != nil {
		return l.Addr()
	}
	return s.opsAddr
}
