package place

import (
	"context"
	"sync"
)

// Lookups is how many names one survey looks up at once.
const Lookups = 64

// Each calls do for every item, for at most n items at once, and waits for all calls. The first
// error cancels the others and is returned.
func Each[T any](ctx context.Context, n int, items []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	places := make(chan struct{}, n)
	var wg sync.WaitGroup
	for _, item := range items {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-places }()
			if err := do(ctx, item); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// BySide calls source and target at the same time.
func BySide(ctx context.Context, source, target func(context.Context) error) error {
	return Each(ctx, 2, []func(context.Context) error{source, target},
		func(ctx context.Context, look func(context.Context) error) error { return look(ctx) })
}

// IndexesOf returns the indexes of list, for use with Each.
func IndexesOf[T any](list []T) []int {
	at := make([]int, len(list))
	for i := range at {
		at[i] = i
	}
	return at
}
