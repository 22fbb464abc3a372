package guest

import (
	"context"
	"net/http"
	"strings"
	"sync"
)

// Streams holds the open event streams. They must be ended at shutdown, because a stream lasts as
// long as its job.
type Streams struct {
	mu    sync.Mutex
	ended bool
	open  map[*http.Request]context.CancelFunc
}

// NewStreams returns Streams, none of which is open.
func NewStreams() *Streams { return &Streams{open: map[*http.Request]context.CancelFunc{}} }

// Enter returns a context that ends when the process stops, if r asks for an event stream. For
// another request it returns ctx. The caller must call the returned function when the request ends.
func (s *Streams) Enter(ctx context.Context, r *http.Request) (context.Context, func()) {
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

// End ends all event streams, also those that clients open later.
func (s *Streams) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, cancel := range s.open {
		cancel()
	}
}
