package server

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/drayage/dray/cmd/internal/access"
)

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

// streams are the answers that have no end of their own.
type streams struct {
	mu    sync.Mutex
	ended bool
	open  map[*http.Request]context.CancelFunc
}

func newStreams() *streams { return &streams{open: map[*http.Request]context.CancelFunc{}} }

// enter gives a request for a stream of events a context that ends with the process.
func (s *streams) enter(ctx context.Context, r *http.Request) (context.Context, func()) {
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") && !strings.HasSuffix(r.URL.Path, "/events") {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[r] = cancel
	if s.ended {
		cancel()
	}
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, r)
	}
}

func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, cancel := range s.open {
		cancel()
	}
}
