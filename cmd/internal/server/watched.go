package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// watched is around every request: it is logged, counted and traced, a client that does not
// go on is cut, and a stream of events ends with the process.
func (s *serving) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, span := s.traces.request(r)
		ctx, leave := s.streams.enter(ctx, r)
		defer leave()
		r = r.WithContext(ctx)
		p := &pace{ResponseController: http.NewResponseController(w), stall: s.config.Stall}
		c := &counter{ResponseWriter: w, pace: p}
		r.Body = &pacedBody{r.Body, p}
		done := s.metrics.begin()
		defer func() {
			crash := recover()
			if crash != nil && crash != http.ErrAbortHandler {
				c.status = http.StatusInternalServerError
				s.config.Log.LogAttrs(ctx, slog.LevelError, "panic", slog.Any("err", crash), slog.String("stack", string(debug.Stack())))
			}
			p.end()
			route, took := routeOf(r), time.Since(start)
			done(route, r.Method, c.status, took)
			span(route, c.status)
			at := level(r, c.status)
			if r.Context().Err() != nil && crash == nil {
				at = slog.LevelDebug // the client is gone, and nobody has to act
			}
			s.config.Log.LogAttrs(ctx, at, "request",
				slog.String("method", r.Method), slog.String("path", shown(r, route)), slog.Int("status", c.status),
				slog.Int64("bytes", c.bytes), slog.Duration("took", took))
			if crash != nil {
				panic(http.ErrAbortHandler) // the connection is cut, and that is said once
			}
		}()
		next.ServeHTTP(c, r)
	})
}

// shown is the path for the log. Azure's name a subscription, which is nobody's to read there.
func shown(r *http.Request, route string) string {
	if strings.HasPrefix(r.URL.Path, "/v2/") || strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/" {
		return r.URL.Path
	}
	return route
}

// routeOf is a request's kind, of which there are few: names of repositories and jobs do not
// belong in a metric.
func routeOf(r *http.Request) string {
	if at, ok := readPath(r.URL.Path); ok && r.URL.Path != tokenPath {
		return "/v2/" + at.part
	}
	_, route, ok := strings.Cut(r.Pattern, " ")
	if !ok {
		route = r.Pattern
	}
	if route == "" || route == "/v2/" {
		return "other"
	}
	return route
}

// level: failures of ours are warnings; what changed the content (a manifest came, something
// was deleted) and what was asked to be done is information; the rest, blobs, probes and
// 404s by the thousand, is for debugging.
func level(r *http.Request, status int) slog.Level {
	ok := status >= 200 && status < 300
	switch {
	case status >= 500:
		return slog.LevelWarn
	case ok && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/"),
		ok && r.Method == http.MethodPost && !strings.HasPrefix(r.URL.Path, "/v2/"),
		ok && r.Method == http.MethodDelete && !strings.Contains(r.URL.Path, "/blobs/uploads/"):
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// counter remembers the status and the bytes of an answer.
type counter struct {
	http.ResponseWriter
	pace   *pace // nil keeps no time
	status int
	bytes  int64
}

func (c *counter) WriteHeader(status int) {
	if c.status == 0 && status >= 200 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	if c.pace != nil {
		c.pace.SetWriteDeadline(time.Now().Add(c.pace.stall))
		defer c.pace.SetWriteDeadline(time.Time{}) // a stream may be silent for long
	}
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// Flush is for handlers of streams that ask for it in the old way.
func (c *counter) Flush() {
	_ = http.NewResponseController(c.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// pace cuts a client that sends or takes no byte for the time of stall: each read and each
// write has that long, however long the whole takes.
type pace struct {
	*http.ResponseController
	stall time.Duration
}

// end bounds what net/http does with the connection after the handler.
func (p *pace) end() {
	p.SetWriteDeadline(time.Now().Add(p.stall))
	p.SetReadDeadline(time.Now().Add(p.stall))
}

type pacedBody struct {
	io.ReadCloser
	pace *pace
}

func (b *pacedBody) Read(p []byte) (int, error) {
	b.pace.SetReadDeadline(time.Now().Add(b.pace.stall))
	defer b.pace.SetReadDeadline(time.Time{}) // between reads it is we who take the time
	return b.ReadCloser.Read(p)
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
