package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/drayage/dray/cmd/internal/server/certificate"
	"github.com/drayage/dray/cmd/internal/server/door"
	"github.com/drayage/dray/cmd/internal/server/guest"
	"github.com/drayage/dray/cmd/internal/server/own"
	"github.com/drayage/dray/cmd/internal/server/watch"
	"github.com/drayage/dray/fault"
)

// work returns the context of everything that runs outside of requests, such as jobs. stop ends it.
// It does not end with ctx, because jobs get c.Grace after ctx has ended.
func (s *serving) work(ctx context.Context) context.Context {
	if s.stopWork == nil {
		s.workCtx, s.stopWork = context.WithCancel(context.WithoutCancel(ctx))
	}
	return s.workCtx
}

// listen starts the listeners. Their doors answer until the parts are open. l is nil for a process that has only the
// listener for operators, or none.
func (s *serving) listen(ctx context.Context, l net.Listener) error {
	s.main, s.ops = door.New(s.waiting), door.New(s.waiting)
	var main *http.Server
	if l != nil {
		var err error
		if main, err = s.mainServer(ctx); err != nil {
			return err
		}
	}
	if s.config.Ops != "" {
		ops, err := listen(ctx, s.config.Ops)
		if err != nil {
			s.stop(ctx)
			return err
		}
		s.opsAddr = ops.Addr()
		s.serve(ops, s.newServer(s.ops))
	}
	if main != nil {
		guests := guest.New(guest.Files(s.config.Files).Most(debug.SetMemoryLimit(-1)), s.config.Log)
		s.serve(guests.Serve(main, l), main)
	}
	return nil
}

// mainServer returns the HTTP server for c.Listen and starts to watch its certificate.
func (s *serving) mainServer(ctx context.Context) (*http.Server, error) {
	srv := s.newServer(s.main)
	if s.config.TLS.Cert != "" {
		var err error
		if s.certs, err = certificate.Load(s.config.TLS.Cert, s.config.TLS.Key, s.config.Log); err != nil {
			return nil, err
		}
		srv.TLSConfig = s.certs.Config()
	}
	work := s.work(ctx)
	s.running.Go(func() { s.certs.Follow(work) })
	return srv, nil
}

// startJobs starts the jobs.
func (s *serving) startJobs(ctx context.Context) {
	work := s.work(ctx)
	s.running.Go(func() { s.access.KeepChained(work, s.config.Log) })
	if s.reg != nil {
		s.running.Go(func() { s.access.KeepHeads(work, s.config.Log, s.config.AuditHeads) })
	}
	if s.config.Engine != "" {
		s.watchServices(work)
	}
	s.working.Store(true)
	s.running.Go(func() {
		defer s.working.Store(false)
		err := s.alone().Before(work)
		if err == nil {
			err = s.queue.Work(work, max(s.config.Slots, 0), s.traces.Jobs(s.service))
		}
		if err != nil {
			s.failed <- err
		}
	})
	s.running.Go(func() {
		if err := s.alone().While(work); err != nil {
			s.failed <- err
		}
	})
}

// watchServices says in the log when PostgreSQL or Temporal does not answer.
func (s *serving) watchServices(work context.Context) {
	s.running.Go(func() {
		watch.Service(work, s.config.Log, "database", "nothing is accepted, and runs set no names",
			func(ctx context.Context) error { return s.db.Explain("ask database", s.db.PingContext(ctx)) })
	})
	s.running.Go(func() {
		watch.Service(work, s.config.Log, "engine", "jobs are accepted and wait", s.queue.Ready)
	})
}

// alone returns what finds another server with a copy of the data directory. Servers of one bucket share their pool.
func (s *serving) alone() own.Sole {
	if s.own == "" || !s.config.localContent() {
		return own.Sole{}
	}
	return own.Sole{Queue: s.queue, Pool: s.own, Dir: s.config.Data}
}

// serve serves l with srv in a goroutine until stop. An error goes to s.failed.
func (s *serving) serve(l net.Listener, srv *http.Server) {
	s.servers = append(s.servers, srv)
	secure := srv.TLSConfig != nil // read it now: net/http sets TLSConfig when it begins to serve
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

// stop waits up to c.Grace for running requests and jobs to end, then interrupts the rest. It
// returns when everything has ended.
func (s *serving) stop(ctx context.Context) {
	log, grace := s.config.Log, s.config.Grace
	log.LogAttrs(ctx, slog.LevelInfo, "stopping", slog.Duration("grace", grace))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	s.stopping.Store(true)
	s.streams.End()
	s.work(ctx)
	s.stopWork()
	var all sync.WaitGroup
	for _, srv := range s.servers {
		all.Go(func() {
			if srv.Shutdown(ctx) != nil {
				log.LogAttrs(ctx, slog.LevelWarn, "requests interrupted")
				srv.Close()
			}
		})
	}
	all.Wait()
	s.running.Wait()
}

func (s *serving) newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         protocols(s.config.TLS.Cert != ""),
		// net/http reports here only clients that misbehave, and an operator cannot fix those.
		ErrorLog: slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
}

const (
	headerTimeout = 10 * time.Second // to read a request's header; a body may take as long as bytes arrive
	idleTimeout   = 2 * time.Minute  // of a connection between requests
	maxHeader     = 64 << 10         // bytes of a request's header
)

// protocols returns HTTP/1.1 and HTTP/2. Without TLS, a client can use HTTP/2 only with prior knowledge.
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
