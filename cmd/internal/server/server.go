// Package server is dray as a process that listens: the embedded registry at /v2/,
// requests that become jobs at /api/v1/ and in the dialect of Azure's resource manager,
// and what an operator expects around them.
//
// Run serves, Worker only works, Check says what would be wrong, Backup and Restore
// copy what a server keeps.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
)

const (
	headerTimeout = 10 * time.Second // for a request's head; bodies take as long as bytes come
	idleTimeout   = 2 * time.Minute  // of a connection between requests
	maxHeader     = 64 << 10
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
	if err := c.mayListen(maybe); err != nil {
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

// serving is the listeners and the work of one process, started and stopped together.
type serving struct {
	*parts
	streams  *streams
	held     *access.Places // answers, of both APIs
	stopping atomic.Bool
	working  atomic.Bool // the queue is looked after
	servers  []*http.Server
	opsAddr  net.Addr // nil without one
	failed   chan error
	workCtx  context.Context
	stopWork context.CancelFunc
	running  sync.WaitGroup
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

func (s *serving) newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         protocols(s.config.TLS.Cert != ""),
		// net/http tells of clients that misbehave here, which is nobody's to fix.
		ErrorLog: slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
}

// work is the context of what runs beside requests. It ends when the process is to stop.
func (s *serving) work(ctx context.Context) context.Context {
	if s.stopWork == nil {
		s.workCtx, s.stopWork = context.WithCancel(context.WithoutCancel(ctx))
	}
	return s.workCtx
}

// start begins to serve and to work.
func (s *serving) start(ctx context.Context, l net.Listener, main *http.Server) error {
	s.failed = make(chan error, 2)
	if s.config.Ops != "" {
		ops, err := listen(ctx, s.config.Ops)
		if err != nil {
			s.stop(ctx)
			return err
		}
		s.opsAddr = ops.Addr()
		s.serve(ops, s.newServer(s.opsRoutes()))
	}
	if main != nil {
		s.serve(l, main)
	}
	work := s.work(ctx)
	s.working.Store(true)
	s.running.Go(func() {
		defer s.working.Store(false)
		if err := s.queue.Work(work, max(s.config.Slots, 0), s.runner()); err != nil {
			s.failed <- err
		}
	})
	return nil
}

func (s *serving) serve(l net.Listener, srv *http.Server) {
	s.servers = append(s.servers, srv)
	secure := srv.TLSConfig != nil // net/http fills it in once it serves
	s.running.Go(func() {
		var err error
		if secure {
			err = srv.ServeTLS(l, "", "")
		} else {
			err = srv.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.failed <- &fault.Fault{Kind: fault.Unavailable, Op: "serve", Name: l.Addr().String(), Err: err}
		}
	})
}

// stop ends everything: gently for c.Grace, then by cutting.
func (s *serving) stop(ctx context.Context) {
	log, grace := s.config.Log, s.config.Grace
	log.LogAttrs(ctx, slog.LevelInfo, "stopping", slog.Duration("grace", grace))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	s.stopping.Store(true)
	s.streams.end()
	s.work(ctx)
	s.stopWork()
	var all sync.WaitGroup
	for _, srv := range s.servers {
		all.Go(func() {
			if srv.Shutdown(ctx) != nil {
				log.LogAttrs(ctx, slog.LevelWarn, "requests cut")
				srv.Close()
			}
		})
	}
	all.Wait()
	s.running.Wait()
}

// protocols are HTTP/1.1 and HTTP/2, which without TLS wants prior knowledge.
func protocols(tls bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	if tls {
		p.SetHTTP2(true)
	} else {
		p.SetUnencryptedHTTP2(true)
	}
	return p
}
