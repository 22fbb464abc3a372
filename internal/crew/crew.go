package crew

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/drayage/dray/internal/place"
)

// InOrder calls do for each item, at most n in parallel, and calls take with the results in the
// order of the items. At most n results wait in memory. The first error of take ends it.
func InOrder[T, R any](
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

// Workers runs many tasks, a few in parallel. The first error ends all of them.
type Workers struct {
	Ctx    context.Context // ends with the first error
	cancel context.CancelCauseFunc
	places chan struct{}
	wg     sync.WaitGroup

	mu  sync.Mutex
	err error
}

// NewWorkers returns n workers.
func NewWorkers(ctx context.Context, n int) *Workers {
	w := &Workers{places: make(chan struct{}, n)}
	w.Ctx, w.cancel = context.WithCancelCause(ctx)
	return w
}

// Start waits for a free worker and runs do there. If the context has ended, it runs do at once, which
// then reports what it does not begin.
func (w *Workers) Start(do func(context.Context) error) error {
	select {
	case w.places <- struct{}{}:
	case <-w.Ctx.Done():
		return cmp.Or(do(w.Ctx), context.Cause(w.Ctx))
	}
	w.wg.Go(func() {
		defer func() { <-w.places }()
		if err := do(w.Ctx); err != nil {
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

// Wait waits for all tasks, and returns the first error.
func (w *Workers) Wait() error {
	w.wg.Wait()
	w.cancel(nil)
	return w.err
}

// Images are the places for images in flight that all repositories of one transfer share.
type Images struct {
	free chan time.Time // for each free place, when its last image ended; zero if it had none
	rest time.Duration
}

// NewImages returns the places of a transfer with the rest of its request between two images of a
// place. A transfer that rests has one place, unless a number was asked for: with many places, it
// would rest only after its last images.
func NewImages(b *place.Base, rest time.Duration) *Images {
	n := b.InFlight()
	if rest > 0 && b.Images == 0 {
		n = 1
	}
	p := &Images{free: make(chan time.Time, n), rest: rest}
	for range n {
		p.free <- time.Time{}
	}
	return p
}

// Count returns how many images may be in flight at once.
func (p *Images) Count() int { return cap(p.free) }

// Acquire waits until another image may be in flight and the place that it takes has rested. end
// frees the place again. ok is false if ctx ended first.
func (p *Images) Acquire(ctx context.Context) (end func(), ok bool) {
	select {
	case last := <-p.free:
		if !last.IsZero() && !sleep(ctx, time.Until(last.Add(p.rest))) {
			p.free <- last
			return nil, false
		}
	case <-ctx.Done():
		return nil, false
	}
	return func() { p.free <- time.Now() }, true
}

// sleep waits for d. It reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
