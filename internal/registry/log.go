package registry

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/sirupsen/logrus"
)

// quiet stops the distribution code from writing to standard error. It logs
// through logrus's standard logger and offers no other way in.
func quiet() {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.WarnLevel)
	logrus.StandardLogger().ReplaceHooks(logrus.LevelHooks{})
}

// forward sends what distribution says from now on to log. It is called after
// the start, whose warnings are about settings that we chose.
func forward(log *slog.Logger) {
	hooks := logrus.LevelHooks{}
	hooks.Add(forwarder{log})
	logrus.StandardLogger().ReplaceHooks(hooks)
}

type forwarder struct{ log *slog.Logger }

func (forwarder) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel, logrus.WarnLevel}
}

// Fire sorts by who has to act. distribution calls everything an error that a
// client did wrong, down to a HEAD of a blob that is not there yet; only a 5xx
// concerns whoever runs the registry.
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
		path, _, _ := strings.Cut(uri, "?") // the query of an upload is what lets one write to it
		attrs = append(attrs, slog.String("path", path))
	}
	add("status", "http.response.status")
	add("err", "err.detail")
	add("err", logrus.ErrorKey)
	f.log.LogAttrs(ctx, at, "storage", attrs...)
	return nil
}

// serverFault reports whether a request ended in a failure of ours. distribution
// answers a client that went away in the middle of a body with 499 and then
// again with 500; only its words tell that apart.
func serverFault(data logrus.Fields) bool {
	status, _ := data["http.response.status"].(int)
	return status >= http.StatusInternalServerError && data["err.detail"] != "client disconnected"
}
