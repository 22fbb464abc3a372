// Package watch says in the log of a process when a service that it needs does not answer, and when it is back.
package watch

import (
	"context"
	"log/slog"
	"time"

	"github.com/drayage/dray/fault"
)

const (
	every    = 2 * time.Second
	patience = 5 * time.Second // the longest wait for an answer
)

// Service calls ask again and again until ctx ends. It logs the first error, and that ask succeeds again. name is that
// of the service for people, and meanwhile says what happens while it does not answer.
func Service(ctx context.Context, log *slog.Logger, name, meanwhile string, ask func(context.Context) error) {
	log = log.With(slog.String("service", name))
	var since time.Time // when the first call that failed began; zero while the service answers
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		began := time.Now()
		once, done := context.WithTimeout(ctx, patience)
		err := ask(once)
		done()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && since.IsZero():
			since = began
			log.LogAttrs(ctx, slog.LevelWarn, "does not answer", slog.String("meanwhile", meanwhile), slog.Any("err", err),
				slog.String("hint", fault.HintOf(err)))
		case err == nil && !since.IsZero():
			log.LogAttrs(ctx, slog.LevelWarn, "answers again", slog.Duration("after", time.Since(since).Round(time.Millisecond)))
			since = time.Time{}
		}
	}
}
