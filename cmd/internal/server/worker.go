package server

import (
	"context"
	"errors"
	"log/slog"
)

// Worker runs the jobs of a database that it shares with servers, until ctx ends, and then returns
// nil. It has no registry and accepts no requests, except health checks and metrics at c.Ops. A job
// whose target is the embedded registry of a server reaches it over HTTP like any other registry,
// with a login from c.Dray.
//
// Errors are those of Run. A Database that is a file is Invalid, because only one process can use it.
func Worker(ctx context.Context, c Config) (err error) {
	if c.Database == "" || isFile(c.Database) {
		return configFault("database", "start the servers and the worker with --database postgres://…",
			errors.New("a worker cannot share a database file with a server"))
	}
	c, err = c.filled()
	if err != nil {
		return err
	}
	p, err := open(ctx, c, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	s := &serving{parts: p, streams: newStreams()}
	if err := s.start(ctx, nil, nil); err != nil {
		return err
	}
	c.Log.LogAttrs(ctx, slog.LevelInfo, "working", slog.String("database", p.db.URL()), slog.Int("slots", c.Slots))
	if c.Ready != nil {
		c.Ready(s.opsAddr)
	}
	var broke error
	select {
	case broke = <-s.failed:
	case <-ctx.Done():
	}
	s.stop(ctx)
	return broke
}
