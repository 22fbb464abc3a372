package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
)

// Run serves until ctx ends and then returns nil: it accepts nothing new, ends streams of
// events, lets running requests and jobs end for c.Grace, cuts the rest and gives jobs back
// to the queue. Uploads that were cut go on when a client comes back after the next start.
//
// Errors are of Kind Invalid for a Config that can not work or would let strangers in,
// Conflict when the address, the directory or the database is in use by another process,
// and those of opening the directory and the database.
func Run(ctx context.Context, c Config) (err error) {
	c, err = c.filled()
	if err != nil {
		return err
	}
	if err := c.mayListen(unknownUsers); err != nil {
		return err
	}
	l, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	p, err := open(ctx, c, l.Addr())
	if fault.Is(err, fault.Canceled) && ctx.Err() != nil {
		return nil // stopped before it began
	}
	if err != nil {
		return err
	}
	// Last of all: it waits for the handlers and jobs that were cut.
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.mayListen(ctx); err != nil {
		return err
	}
	if c.Schedules != nil {
		if err := p.putSchedules(ctx); err != nil {
			return err
		}
	}
	s := &serving{parts: p, streams: newStreams(), held: access.NewPlaces(c.PerPrincipal.Held)}
	main, err := s.mainServer(ctx)
	if err != nil {
		return err
	}
	if err := s.start(ctx, l, main); err != nil {
		return err
	}
	c.Log.LogAttrs(ctx, slog.LevelInfo, "serving", slog.String("addr", l.Addr().String()), slog.String("data", c.Data),
		slog.Bool("tls", c.TLS.Cert != ""), slog.String("database", p.db.URL()))
	if c.Ready != nil {
		c.Ready(l.Addr())
	}
	var broke error
	select {
	case broke = <-s.failed:
	case <-ctx.Done():
	}
	s.stop(ctx)
	return broke
}

// mainServer is what listens at c.Listen.
func (s *serving) mainServer(ctx context.Context) (*http.Server, error) {
	h, err := s.routes()
	if err != nil {
		return nil, err
	}
	srv := s.newServer(h)
	var certs *certs
	if s.config.TLS.Cert != "" {
		if certs, err = loadCerts(s.config, s.access); err != nil {
			return nil, err
		}
		srv.TLSConfig = certs.config()
	}
	work := s.work(ctx)
	s.running.Go(func() { certs.follow(work) })
	return srv, nil
}
