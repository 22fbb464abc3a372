package fetch

import (
	"context"
)

// SmallBlob is the size in bytes below which the order of a blob does not matter, because it
// moves quickly: 1 MiB.
const SmallBlob = 1 << 20

// Places limits the blobs in flight. Each blob in flight takes one place. Besides the places for
// all blobs, there are extra places for small blobs, so that they never wait behind large ones.
// There are also extra places for Ends that do not keep pace, so that nothing waits behind them.
type Places struct {
	all   chan struct{}
	small chan struct{}
	slow  chan struct{}
}

func newPlaces(n int) Places {
	return Places{
		all:   make(chan struct{}, n),
		small: make(chan struct{}, max(n/2, 1)),
		slow:  make(chan struct{}, max(n/4, 1)),
	}
}

// Enter waits for a place for a blob of size bytes; leave frees the place. If ctx ends first, ok
// is false.
func (p Places) Enter(ctx context.Context, size int64) (leave func(), ok bool) {
	if ctx.Err() != nil {
		return nil, false
	}
	var small chan struct{} // nil is never ready
	if size < SmallBlob {
		small = p.small
	}
	select {
	case p.all <- struct{}{}:
		return func() { <-p.all }, true
	case small <- struct{}{}:
		return func() { <-p.small }, true
	case <-ctx.Done():
		return nil, false
	}
}

// Apart waits for a place for an End that does not keep pace.
func (p Places) Apart(ctx context.Context, _ int64) (leave func(), ok bool) {
	return func() { <-p.slow }, Enter(ctx, p.slow)
}

// spare takes a place that no other blob needs now, for a further connection of a blob; leave
// frees it. A third of all places stays free for blobs that come later.
func (p Places) spare() bool {
	if len(p.all) >= cap(p.all)*2/3 {
		return false
	}
	select {
	case p.all <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p Places) leave() { <-p.all }

// full reports whether half of all places are taken. That many blobs are enough to use a whole
// network line, so further connections would not help.
func (p Places) full() bool { return len(p.all) >= cap(p.all)/2 }

// Enter takes a place in gate. If ctx ends first, it returns false and holds no place.
func Enter(ctx context.Context, gate chan struct{}) bool {
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
