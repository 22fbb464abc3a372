package serving

import (
	"log"
	"log/slog"

	"go.opentelemetry.io/otel"
)

// gather sends what libraries write to the standard logger, and the errors of OpenTelemetry, to l at the
// level debug. Without it, both would write to stderr in a form of their own.
func gather(l *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(l.Handler(), slog.LevelDebug).Writer())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { l.Debug("traces", "err", err) }))
}
