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
	"github.com/drayage/dray/cmd/internal/wire"
)

// middleware wraps the handler of every request. It logs, counts and traces the request, closes the
// connection of a client that stalls, and ends an event stream when the process stops.
func (s *serving) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, span := s.traces.Request(r)
		ctx, leave := s.streams.Enter(ctx, r)
		defer leave()
		r = r.WithContext(ctx)
		p := &pace{ResponseController: http.NewResponseController(w), stall: s.config.Stall}
		c := &measure.Answer{ResponseWriter: &pacedAnswer{w, p}}
		r.Body = &pacedBody{r.Body, p}
		w.Header().Set(wire.VersionHeader, s.config.Version)
		if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			// A Content-Length beside it, which net/http drops, would hide another request from a proxy. The connection
			// of such a request must be closed (RFC 9112 §6.1).
			w.Header().Set("Connection", "close")
		}
		done := s.metrics.Begin()
		defer func() {
			crash := recover()
			if crash != nil && crash != http.ErrAbortHandler { //nolint:errorlint // panic passes the value itself
				c.Status = http.StatusInternalServerError
				s.config.Log.LogAttrs(ctx, slog.LevelError, "panic",
					slog.Any("err", crash), slog.String("stack", string(debug.Stack())))
			}
			p.end()
			route, took := routeOf(r), time.Since(start)
			done(route, r.Method, c.Status, took)
			span(route, c.Status)
			at := level(r, c.Status)
			if r.Context().Err() != nil && crash == nil {
				at = slog.LevelDebug // the client has gone: an operator need not act
			}
			s.config.Log.LogAttrs(ctx, at, "request",
				slog.String("method", r.Method), slog.String("path", loggedPath(r, route)), slog.Int("status", c.Status),
				slog.Int64("bytes", c.Bytes), slog.Duration("took", took))
			if crash != nil {
				panic(http.ErrAbortHandler) // closes the connection; net/http logs nothing for this value
			}
		}()
		next.ServeHTTP(c, r)
	})
}

// loggedPath returns the path for the log. For a path of Azure's API it returns the route, because
// such a path contains a subscription ID, which must not be in the log.
func loggedPath(r *http.Request, route string) string {
	if strings.HasPrefix(r.URL.Path, "/v2/") || strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/" {
		return r.URL.Path
	}
	return route
}

// routeOf returns the route of a request, such as "/v2/manifests", for metrics and spans. It never
// contains the name of a repository or a job, so the number of routes is small.
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

// level returns the log level of a request. An error of the server is a warning. A request that
// changed something (put a manifest, deleted something, submitted a job) is information. All other
// requests, such as blobs, probes and thousands of 404s, are debug messages.
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

// pace closes the connection of a client that sends or reads no byte for the duration stall. Each
// read and each write may take that long; the whole request may take any time. A deadline that cannot
// be set means that the connection is closed, which the next read or write reports.
//
// A handler that sets a deadline for reading, as http.ResponseController does, cuts a body that arrives too slowly as a
// whole.
type pace struct {
	*http.ResponseController
	stall time.Duration
	until time.Time // the handler's deadline for reading; zero means none
}

// end sets deadlines for what net/http reads and writes after the handler has returned.
func (p *pace) end() {
	_ = p.SetWriteDeadline(time.Now().Add(p.stall))
	_ = p.SetReadDeadline(time.Now().Add(p.stall))
}

// pacedAnswer is a ResponseWriter that sets a deadline for each write.
type pacedAnswer struct {
	http.ResponseWriter
	pace *pace
}

func (a *pacedAnswer) Write(p []byte) (int, error) {
	_ = a.pace.SetWriteDeadline(time.Now().Add(a.pace.stall))
	// Between writes there is no deadline: a stream may be silent for long.
	defer func() { _ = a.pace.SetWriteDeadline(time.Time{}) }()
	return a.ResponseWriter.Write(p)
}

// SetReadDeadline sets the deadline for the whole body.
func (a *pacedAnswer) SetReadDeadline(t time.Time) error {
	a.pace.until = t
	return a.pace.SetReadDeadline(t)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *pacedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// pacedBody is a request's body that sets a deadline for each read.
type pacedBody struct {
	io.ReadCloser
	pace *pace
}

func (b *pacedBody) Read(p []byte) (int, error) {
	by := time.Now().Add(b.pace.stall)
	if until := b.pace.until; !until.IsZero() && until.Before(by) {
		by = until
	}
	_ = b.pace.SetReadDeadline(by)
	// Between reads the handler works, and the client is not to blame.
	defer func() { _ = b.pace.SetReadDeadline(time.Time{}) }()
	return b.ReadCloser.Read(p)
}
