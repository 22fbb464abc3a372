package transfer

import (
	"context"
	"sync"

	"github.com/drayage/dray/internal/transfer/fetch"
)

// gate waits until item may begin; leave frees the item's place. If ctx ends first, ok is false
// and no place is held.
type gate[T any] func(ctx context.Context, item T) (leave func(), ok bool)

// in returns a gate that has as many places as ch has capacity.
func in[T any](ch chan struct{}) gate[T] {
	return func(ctx context.Context, _ T) (func(), bool) { return func() { <-ch }, fetch.Enter(ctx, ch) }
}

// each calls do for every item and waits for all calls to end. At most as many calls run at once
// as gate has places. The first error cancels the other calls and is returned.
//
// The function do must not call each with the same gate. Otherwise a call could hold a place
// while it waits for another place, which can deadlock.
func each[T any](
	ctx context.Context, gate gate[T], items []T, do func(ctx context.Context, i int, item T) error,
) error {
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

// all calls do for every item at once and waits for all calls. An error in one call does not stop
// the others.
func all[T any](items []T, do func(item T)) {
	var wg sync.WaitGroup
	for _, item := range items {
		wg.Go(func() { do(item) })
	}
	wg.Wait()
}
