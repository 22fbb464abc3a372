package transfer

import (
	"context"
	"sync"
)

// each calls do for every item, as many at once as gate has room for, and waits
// for all. The first error cancels the others and is returned.
//
// do must not call each with the same gate: the walk is flat, so nobody holds a
// place while waiting for another.
func each[T any](ctx context.Context, gate chan struct{}, items []T, do func(ctx context.Context, i int, item T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i, item := range items {
		if !enter(ctx, gate) {
			break
		}
		wg.Go(func() {
			defer func() { <-gate }()
			if err := do(ctx, i, item); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// enter takes a place in gate; false means ctx ended first and no place is held.
func enter(ctx context.Context, gate chan struct{}) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case gate <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// all calls do for every item at once and waits for all. Nobody's error stops another.
func all[T any](items []T, do func(item T)) {
	var wg sync.WaitGroup
	for _, item := range items {
		wg.Go(func() { do(item) })
	}
	wg.Wait()
}
