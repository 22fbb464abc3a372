package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
)

// Run serves until ctx ends and then returns nil. When ctx ends, it accepts no new connections, ends
// the event streams and waits up to c.Grace for running requests and jobs. Then it closes the
// remaining connections and gives unfinished jobs back to the queue. A client can resume an
// interrupted upload after the next start.
//
// Errors are Invalid for a Config that cannot work or that would let anybody on the network in,
// Conflict if the address, the directory or the database is in use by another process, and the errors
// of opening the directory and the database.
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
		return nil // ctx ended before the server was up
	}
	if err != nil {
		return err
	}
	// Close last: it waits for the handlers and jobs that stop has interrupted.
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

// mainServer returns the HTTP server for c.Listen and starts to watch its certificate.
func (s *serving) mainServer(ctx context.Context) (*http.Server, error) {
	srv := s.newServer(s.routes())
	var certs *certs
	if s.config.TLS.Cert != "" {
		var err error
		if certs, err = loadCerts(s.config, s.access); err != nil {
			return nil, err
		}
		srv.TLSConfig = certs.config()
	}
	work := s.work(ctx)
	s.running.Go(func() { certs.follow(work) })
	return srv, nil
}
