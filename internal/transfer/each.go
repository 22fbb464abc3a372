package transfer

import (
	"context"
	"sync"

	"github.com/drayage/dray/internal/transfer/fetch"
)

// gate lets an item in; leave gives its place back. ok is false when ctx ended
// first and no place is held.
type gate[T any] func(ctx context.Context, item T) (leave func(), ok bool)

// in is the gate with as many places as ch has room for.
func in[T any](ch chan struct{}) gate[T] {
	return func(ctx context.Context, _ T) (func(), bool) { return func() { <-ch }, fetch.Enter(ctx, ch) }
}

// each calls do for every item, as many at once as gate has room for, and waits
// for all. The first error cancels the others and is returned.
//
// do must not call each with the same gate: the walk is flat, so nobody holds a
// place while waiting for another.
func each[T any](ctx context.Context, gate gate[T], items []T, do func(ctx context.Context, i int, item T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i, item := range items {
		leave, ok := gate(ctx, item)
		if !ok {
			break
		}
		wg.Go(func() {
			defer leave()
			if err := do(ctx, i, item); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// all calls do for every item at once and waits for all. Nobody's error stops another.
func all[T any](items []T, do func(item T)) {
	var wg sync.WaitGroup
	for _, item := range items {
		wg.Go(func() { do(item) })
	}
	wg.Wait()
}
