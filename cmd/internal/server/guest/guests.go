package guest

import (
	"container/list"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Guests are the connections of clients to a server. When there are as many as there may be, the next one takes the
// place of the one that has waited longest for its next request, or of the oldest that has sent no whole request, if
// that is a second or longer. While all others are at work, it waits.
type Guests struct {
	most int
	log  *slog.Logger

	waits atomic.Bool // a connection waits for a place

	mu    sync.Mutex
	here  map[net.Conn]*list.Element // nil if it is at work
	idle  list.List                  // of *resting, the longest first
	fresh list.List                  // of *resting, the oldest first
	freed chan struct{}
	told  time.Time
}

// resting is a connection that waits for a request.
type resting struct {
	conn  net.Conn
	among *list.List
	since time.Time
}

const (
	keeps    = time.Second // how long a connection may wait for a request before it may lose its place
	tellEach = time.Minute // between two lines of the log
)

// New returns Guests with places for most connections.
func New(most int, log *slog.Logger) *Guests {
	return &Guests{most: most, log: log, here: map[net.Conn]*list.Element{}, freed: make(chan struct{}, 1)}
}

// Serve makes s, which serves the connections of the returned listener, report to g. While one waits for a place, an
// answer ends its connection, so that its client knows that it may not send another request there.
func (g *Guests) Serve(s *http.Server, l net.Listener) net.Listener {
	s.ConnState = g.state
	next := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.waits.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
	return &entrance{Listener: l, guests: g, closed: make(chan struct{})}
}

// entrance is the listener of a server that has Guests.
type entrance struct {
	net.Listener
	guests *Guests
	once   sync.Once
	closed chan struct{}
}

func (e *entrance) Accept() (net.Conn, error) {
	conn, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !e.guests.enter(conn, e.closed) {
		conn.Close()
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (e *entrance) Close() error {
	e.once.Do(func() { close(e.closed) })
	return e.Listener.Close()
}

// enter waits for a place. It reports false if closed is closed first.
func (g *Guests) enter(conn net.Conn, closed <-chan struct{}) bool {
	for {
		again, ok := g.place(conn)
		g.waits.Store(!ok)
		if ok {
			return true
		}
		wait := time.NewTimer(again)
		select {
		case <-g.freed:
		case <-wait.C:
		case <-closed:
			wait.Stop()
			return false
		}
		wait.Stop()
	}
}

// place gives conn a place, and closes another connection if that is needed. If it cannot, again is when it may.
func (g *Guests) place(conn net.Conn) (again time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.here) >= g.most {
		g.tell()
		leaves := g.idle.Front()
		if leaves == nil || left(leaves) > 0 {
			if e := g.fresh.Front(); leaves == nil || e != nil && left(e) < left(leaves) {
				leaves = e
			}
		}
		switch {
		case leaves == nil:
			return tellEach, false
		case left(leaves) > 0:
			return left(leaves), false
		}
		gone := leaves.Value.(*resting).conn
		g.forget(gone)
		gone.Close()
	}
	g.rest(conn, &g.fresh)
	return 0, true
}

// left returns how long a resting connection keeps its place for sure.
func left(e *list.Element) time.Duration { return time.Until(e.Value.(*resting).since.Add(keeps)) }

// tell says in the log that all places are taken.
func (g *Guests) tell() {
	if time.Since(g.told) >= tellEach {
		g.told = time.Now()
		g.log.LogAttrs(context.Background(), slog.LevelWarn,
			"all connections are taken: new ones take the places of those that wait", slog.Int("most", g.most),
			slog.String("hint", "allow more files (LimitNOFILE= of systemd, ulimit -n) or more memory"))
	}
}

// state follows what a connection does.
func (g *Guests) state(conn net.Conn, s http.ConnState) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, here := g.here[conn]; !here {
		return
	}
	switch s {
	case http.StateActive:
		g.leaveLists(conn)
		g.here[conn] = nil
	case http.StateIdle:
		g.rest(conn, &g.idle)
	case http.StateClosed, http.StateHijacked:
		g.forget(conn)
	case http.StateNew: // since enter
	}
	if s != http.StateActive && s != http.StateNew {
		select {
		case g.freed <- struct{}{}:
		default:
		}
	}
}

// rest notes that conn waits for a request from now on.
func (g *Guests) rest(conn net.Conn, among *list.List) {
	g.leaveLists(conn)
	g.here[conn] = among.PushBack(&resting{conn, among, time.Now()})
}

func (g *Guests) forget(conn net.Conn) {
	g.leaveLists(conn)
	delete(g.here, conn)
}

func (g *Guests) leaveLists(conn net.Conn) {
	if e := g.here[conn]; e != nil {
		e.Value.(*resting).among.Remove(e)
	}
}
