package migrate

import (
	"context"
	"sync"
)

// inOrder calls do for each item, at most n in parallel, and calls take with the results in the
// order of the items. At most n results wait in memory. The first error of take ends it.
func inOrder[T, R any](
	ctx context.Context, n int, items []T, do func(context.Context, T) R, take func(context.Context, R) error,
) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	results := make(chan chan R, n-1)
	wg.Go(func() {
		defer close(results)
		for _, item := range items {
			one := make(chan R, 1)
			select {
			case results <- one:
			case <-ctx.Done():
				return
			}
			wg.Go(func() { one <- do(ctx, item) })
		}
	})
	for one := range results {
		if err := take(ctx, <-one); err != nil {
			return err
		}
	}
	return nil
}

// workers runs many tasks, a few in parallel. The first error ends all of them.
type workers struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	places chan struct{}
	wg     sync.WaitGroup

	mu  sync.Mutex
	err error
}

func (r *transferring) newWorkers(ctx context.Context) *workers {
	w := &workers{places: make(chan struct{}, cap(r.images))}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	return w
}

// start waits for a free worker and runs do there.
func (w *workers) start(do func(context.Context) error) error {
	select {
	case w.places <- struct{}{}:
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
	w.wg.Go(func() {
		defer func() { <-w.places }()
		if err := do(w.ctx); err != nil {
			w.mu.Lock()
			if w.err == nil {
				w.err = err
			}
			w.mu.Unlock()
			w.cancel(err)
		}
	})
	return nil
}

func (w *workers) wait() error {
	w.wg.Wait()
	w.cancel(nil)
	return w.err
}
