package server

import (
	"context"
	"errors"
	"log/slog"
)

// Worker runs jobs of a database that servers share, until ctx ends, and then returns nil.
// It has no registry and accepts nothing; with c.Ops it shows whether it is well. Jobs whose
// target is a server's embedded registry reach that over HTTP, as any other: with a login
// that c.Dray knows.
//
// Errors are those of Run; a Database that is a file, which one process alone can have, is Invalid.
func Worker(ctx context.Context, c Config) (err error) {
	if c.Database == "" || isFile(c.Database) {
		return configFault("database", "give the servers and the worker --database postgres://…", errors.New("a file can not be shared"))
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
