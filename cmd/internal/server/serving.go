package server

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server/certificate"
	"github.com/drayage/dray/cmd/internal/server/door"
)

// serving holds the listeners and the worker of one process, which start and stop together.
type serving struct {
	*parts
	streams  *streams
	held     *access.Places // the held answers of both APIs: REST and Azure's
	stopping atomic.Bool
	working  atomic.Bool // the worker is running
	servers  []*http.Server
	main     *door.Door         // before the requests of clients
	ops      *door.Door         // before those of operators
	certs    *certificate.Files // nil without TLS
	opsAddr  net.Addr           // the address of the listener for operators; nil without one
	failed   chan error         // an error of a listener or the worker, which ends the process
	workCtx  context.Context
	stopWork context.CancelFunc
	running  sync.WaitGroup
}

// streams holds the open event streams. They must be ended at shutdown, because a stream lasts as
// long as its job.
type streams struct {
	mu    sync.Mutex
	ended bool
	open  map[*http.Request]context.CancelFunc
}

func newStreams() *streams { return &streams{open: map[*http.Request]context.CancelFunc{}} }

// enter returns a context that ends when the process stops, if r asks for an event stream. For
// another request it returns ctx. The caller must call the returned function when the request ends.
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

// end ends all event streams, also those that clients open later.
func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, cancel := range s.open {
		cancel()
	}
}
