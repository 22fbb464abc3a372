package server

import (
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/server/gate"
	"github.com/drayage/dray/cmd/internal/server/measure"
)

// middleware is around every request: it is logged, counted and traced, a client that does not
// go on is cut, and a stream of events ends with the process.
func (s *serving) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, span := s.traces.Request(r)
		ctx, leave := s.streams.enter(ctx, r)
		defer leave()
		r = r.WithContext(ctx)
		p := &pace{ResponseController: http.NewResponseController(w), stall: s.config.Stall}
		c := &measure.Answer{ResponseWriter: &pacedAnswer{w, p}}
		r.Body = &pacedBody{r.Body, p}
		done := s.metrics.Begin()
		defer func() {
			crash := recover()
			if crash != nil && crash != http.ErrAbortHandler {
				c.Status = http.StatusInternalServerError
				s.config.Log.LogAttrs(ctx, slog.LevelError, "panic", slog.Any("err", crash), slog.String("stack", string(debug.Stack())))
			}
			p.end()
			route, took := routeOf(r), time.Since(start)
			done(route, r.Method, c.Status, took)
			span(route, c.Status)
			at := level(r, c.Status)
			if r.Context().Err() != nil && crash == nil {
				at = slog.LevelDebug // the client is gone, and nobody has to act
			}
			s.config.Log.LogAttrs(ctx, at, "request",
				slog.String("method", r.Method), slog.String("path", loggedPath(r, route)), slog.Int("status", c.Status),
				slog.Int64("bytes", c.Bytes), slog.Duration("took", took))
			if crash != nil {
				panic(http.ErrAbortHandler) // the connection is cut, and that is said once
			}
		}()
		next.ServeHTTP(c, r)
	})
}

// loggedPath is the path for the log. Azure's name a subscription, which is nobody's to read there.
func loggedPath(r *http.Request, route string) string {
	if strings.HasPrefix(r.URL.Path, "/v2/") || strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/" {
		return r.URL.Path
	}
	return route
}

// routeOf is a request's kind, of which there are few: names of repositories and jobs do not
// belong in a metric.
func routeOf(r *http.Request) string {
	if route, ok := gate.Route(r.URL.Path); ok {
		return route
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

// pacedAnswer is an answer each of whose writes has its time.
type pacedAnswer struct {
	http.ResponseWriter
	pace *pace
}

func (a *pacedAnswer) Write(p []byte) (int, error) {
	a.pace.SetWriteDeadline(time.Now().Add(a.pace.stall))
	defer a.pace.SetWriteDeadline(time.Time{}) // a stream may be silent for long
	return a.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *pacedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

type pacedBody struct {
	io.ReadCloser
	pace *pace
}

func (b *pacedBody) Read(p []byte) (int, error) {
	b.pace.SetReadDeadline(time.Now().Add(b.pace.stall))
	defer b.pace.SetReadDeadline(time.Time{}) // between reads it is we who take the time
	return b.ReadCloser.Read(p)
}
