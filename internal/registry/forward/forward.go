// Package forward sends the log of the distribution project to a logger of ours.
package forward

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/sirupsen/logrus"
)

// Quiet prevents the distribution code from writing to standard error. distribution logs through
// logrus's standard logger, and this is the only way to control that.
func Quiet() {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.WarnLevel)
	logrus.StandardLogger().ReplaceHooks(logrus.LevelHooks{})
}

// To sends all later log entries of distribution to log. It is called after the start,
// because the warnings of the start are about settings that configure chose on purpose.
func To(log *slog.Logger) {
	hooks := logrus.LevelHooks{}
	hooks.Add(forwarder{log})
	logrus.StandardLogger().ReplaceHooks(hooks)
}

type forwarder struct{ log *slog.Logger }

func (forwarder) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel, logrus.WarnLevel}
}

// Fire sets the level by who has to act. distribution logs every mistake of a client as an error,
// even a HEAD request for a blob that does not exist yet. Only a 5xx response concerns the
// operator of the registry.
func (f forwarder) Fire(e *logrus.Entry) error {
	ctx := context.Background()
	at := slog.LevelWarn
	if _, ofRequest := e.Data["http.request.id"]; ofRequest {
		at = slog.LevelDebug
		if serverFault(e.Data) {
			at = slog.LevelError
		}
	}
	if !f.log.Enabled(ctx, at) {
		return nil
	}
	attrs := []slog.Attr{slog.String("text", e.Message)}
	add := func(as, key string) {
		if v, ok := e.Data[key]; ok {
			attrs = append(attrs, slog.Any(as, v))
		}
	}
	add("method", "http.request.method")
	if uri, ok := e.Data["http.request.uri"].(string); ok {
		path, _, _ := strings.Cut(uri, "?") // the query of an upload URL grants write access to the upload
		attrs = append(attrs, slog.String("path", path))
	}
	add("status", "http.response.status")
	add("err", "err.detail")
	add("err", logrus.ErrorKey)
	f.log.LogAttrs(ctx, at, "storage", attrs...)
	return nil
}

// serverFault reports whether a request failed because of the registry. If a client disconnects
// in the middle of a body, distribution answers first 499 and then 500. Only the error text
// distinguishes this from a real failure.
func serverFault(data logrus.Fields) bool {
	status, _ := data["http.response.status"].(int)
	return status >= http.StatusInternalServerError && data["err.detail"] != "client disconnected"
}
