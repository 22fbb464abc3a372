package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
)

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

const (
	headerTimeout = 10 * time.Second // for a request's head; bodies take as long as bytes come
	idleTimeout   = 2 * time.Minute  // of a connection between requests
	maxHeader     = 64 << 10
)

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
