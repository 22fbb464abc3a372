package fetch

import (
	"context"
)

// SmallBlob is the size in bytes below which a blob is gone before it is worth
// ordering: 1 MiB.
const SmallBlob = 1 << 20

// Places are those for blobs in flight. Beside those for all, small blobs have some of
// their own, so that they never wait behind large ones, and so have ends that do not
// keep pace, so that nobody waits behind those.
type Places struct {
	all   chan struct{}
	small chan struct{}
	slow  chan struct{}
}

func newPlaces(n int) Places {
	return Places{all: make(chan struct{}, n), small: make(chan struct{}, max(n/2, 1)), slow: make(chan struct{}, max(n/4, 1))}
}

// Enter waits for a place for a blob of so many bytes, which leave gives back.
// It is false when ctx ended first.
func (p Places) Enter(ctx context.Context, size int64) (leave func(), ok bool) {
	if ctx.Err() != nil {
		return nil, false
	}
	var small chan struct{} // nil: it is never ready
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

// Apart waits for a place for an end that does not keep pace.
func (p Places) Apart(ctx context.Context, _ int64) (leave func(), ok bool) {
	return func() { <-p.slow }, Enter(ctx, p.slow)
}

// spare takes a place that no blob of its own needs; leave gives it back. A third of
// all is left for blobs that come.
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

// full reports whether there is as much under way as a line takes: half of all.
func (p Places) full() bool { return len(p.all) >= cap(p.all)/2 }

// Enter takes a place in gate; false means ctx ended first and no place is held.
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
