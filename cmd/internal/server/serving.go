package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server/certificate"
)

// serving holds the listeners and the worker of one process, which start and stop together.
type serving struct {
	*parts
	streams  *streams
	held     *access.Places // the held answers of both APIs: REST and Azure's
	stopping atomic.Bool
	working  atomic.Bool // the worker is running
	servers  []*http.Server
	main     *door              // before the requests of clients
	ops      *door              // before those of operators
	certs    *certificate.Files // nil without TLS
	opsAddr  net.Addr           // the address of the listener for operators; nil without one
	failed   chan error         // an error of a listener or the worker, which ends the process
	workCtx  context.Context
	stopWork context.CancelFunc
	running  sync.WaitGroup
}

// door is the handler of a listener. Before it is open, requests wait for patience, and then it says what the
// process waits for.
type door struct {
	opened chan struct{}
	next   http.Handler // set before opened is closed
	waits  func() string
}

// patience is shorter than clients wait for the header of an answer, and longer than a server on SQLite needs to start.
const patience = 5 * time.Second

func newDoor(waits func() string) *door { return &door{opened: make(chan struct{}), waits: waits} }

func (d *door) open(h http.Handler) {
	d.next = h
	close(d.opened)
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.opensFor(r) {
		d.next.ServeHTTP(w, r)
		return
	}
	// The next request comes over another connection, which may present a client certificate.
	w.Header().Set("Connection", "close")
	if r.URL.Path == "/healthz" {
		plain(w, http.StatusOK, "ok")
		return
	}
	w.Header().Set("Retry-After", "1")
	plain(w, http.StatusServiceUnavailable, d.waits())
}

// opensFor waits until the door is open. It does not wait for requests about the process itself.
func (d *door) opensFor(r *http.Request) bool {
	select {
	case <-d.opened:
		return true
	default:
	}
	if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		return false
	}
	select {
	case <-d.opened:
		return true
	case <-r.Context().Done():
	case <-time.After(patience):
	}
	return false
}

// plain answers with a line of text.
func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
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
