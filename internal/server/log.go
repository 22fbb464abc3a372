package server

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// logged tells log of every answer. Failures of ours are warnings; what changed
// the content (a manifest came, something was deleted) is information; the rest,
// blobs, probes and 404s by the thousand, is for debugging.
func logged(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &counter{ResponseWriter: w}
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				c.status = http.StatusInternalServerError
				log.LogAttrs(r.Context(), slog.LevelError, "panic", slog.Any("err", p), slog.String("stack", string(debug.Stack())))
			}
			log.LogAttrs(r.Context(), level(r, c.status), "request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", c.status),
				slog.Int64("bytes", c.bytes), slog.Duration("took", time.Since(start)))
			if p != nil {
				panic(http.ErrAbortHandler) // the connection is cut, and that is said once
			}
		}()
		next.ServeHTTP(c, r)
	})
}

func level(r *http.Request, status int) slog.Level {
	ok := status >= 200 && status < 300
	switch {
	case status >= 500:
		return slog.LevelWarn
	case ok && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/"),
		ok && r.Method == http.MethodDelete && !strings.Contains(r.URL.Path, "/blobs/uploads/"):
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// counter remembers the status and the bytes of an answer.
type counter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (c *counter) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
