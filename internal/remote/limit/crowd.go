package limit

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Crowd limits how many requests a host gets at once, and finds out the best limit while requests
// are made. A host has one Crowd for small requests, one for blobs that are read and one for blobs
// that are written. It follows five rules, which depend only on the answers and on the requests
// that wait:
//
//  1. The limit rises only while a request waits for a place, because unused places teach nothing.
//  2. Small requests: each answer adds one place, which doubles the limit per round trip, until the
//     first trouble. After that, a whole round of answers adds one place.
//  3. Bodies: every half second the transferred bytes are counted. If the rate is a tenth above the
//     best so far, the limit rises by a quarter. A full link or a slow disk stops this growth by
//     itself.
//  4. A 429 halves the limit, and a 5xx takes away a quarter. The limit also shrinks by a tenth
//     when small requests queue at the host: when they take longer than four times the fastest
//     recent answer plus 50 ms. The limit shrinks at most once in twice the time of the answer, and
//     at most once in 100 ms, because the answers that follow belong to requests sent before the
//     change.
//  5. Small bodies do not wait behind large ones. While small bodies wait, a quarter of the places
//     is kept for them, and they may exceed the limit by half.
//
// The limit never leaves the range that the configuration and the dialect set. A Crowd is safe for
// concurrent use.
type Crowd struct {
	floor, Top int
	bodies     bool

	mu      sync.Mutex
	limit   float64
	used    int             // places taken, by small and large requests
	large   int             // places taken by large ones
	queue   []chan struct{} // each is closed when its waiter gets a place
	quick   []chan struct{} // the queue of small bodies
	settled bool            // the first trouble occurred, so doubling is over
	calm    time.Time       // before this time, the limit does not shrink again

	full  bool      // a request waited in this window
	began time.Time // start of this window
	bytes int64     // bytes transferred in this window
	best  float64   // the best rate so far, in bytes per second

	fastest time.Duration // fastest recent answer; it is forgotten slowly
	since   time.Time     // when fastest was last raised
	typical time.Duration // moving average of the answers
}

const (
	window   = 500 * time.Millisecond // in which bytes are counted
	breather = 100 * time.Millisecond // shortest time between two reductions
	memory   = 30 * time.Second       // after which the fastest answer is raised by a quarter
	standing = 50 * time.Millisecond  // wait in the host's queue that is tolerated
)

// NewCrowd returns a Crowd for small requests. It starts with start requests at once and allows at
// most top.
func NewCrowd(start, top int) *Crowd {
	return &Crowd{floor: min(2, top), Top: top, limit: float64(min(start, top))}
}

// NewBodies returns a Crowd for blob bodies.
func NewBodies(start, top int) *Crowd {
	c := NewCrowd(start, top)
	c.bodies = true
	return c
}

// SmallBody is the size in bytes below which a body is small: 1 MiB.
const SmallBody = 1 << 20

// free reports whether the next request may take a place.
func (c *Crowd) free(small bool) bool {
	limit := int(c.limit)
	switch {
	case small:
		return c.used < min(c.Top, limit+limit/2)
	case len(c.quick) > 0:
		return c.used < limit && c.large < limit-max(1, limit/4)
	}
	return c.used < limit
}

// take adds n to the places taken.
func (c *Crowd) take(small bool, n int) {
	c.used += n
	if !small {
		c.large += n
	}
}

// Enter waits for a place; waiting requests get places in the order of their calls. small marks a
// body below SmallBody. If ctx ends first, Enter returns its cause.
func (c *Crowd) Enter(ctx context.Context, small bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	queue := &c.queue
	if small {
		queue = &c.quick
	}
	c.mu.Lock()
	if c.free(small) && len(*queue) == 0 {
		c.take(small, 1)
		c.mu.Unlock()
		return nil
	}
	c.full = true
	turn := make(chan struct{})
	*queue = append(*queue, turn)
	c.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(*queue, turn); i >= 0 {
		*queue = slices.Delete(*queue, i, i+1)
		return context.Cause(ctx)
	}
	c.take(small, -1) // the place was given at the same moment
	c.admit()
	return context.Cause(ctx)
}

// Leave gives a place back.
func (c *Crowd) Leave(small bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(small, -1)
	c.admit()
}

// admit gives free places to waiting requests.
func (c *Crowd) admit() {
	for {
		queue, small := &c.queue, false
		if len(c.queue) == 0 || !c.free(false) {
			queue, small = &c.quick, true
		}
		if len(*queue) == 0 || !c.free(small) {
			return
		}
		close((*queue)[0])
		*queue = (*queue)[1:]
		c.take(small, 1)
	}
}

// waits reports whether any request waits.
func (c *Crowd) waits() bool { return len(c.queue)+len(c.quick) > 0 }

// Answered adapts the limit to an answer with the given status that took so long.
func (c *Crowd) Answered(status int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	switch {
	case status == 429:
		c.shrink(now, took, 0.5)
	case status >= 500 && status != 501:
		c.shrink(now, took, 0.75)
	case !c.bodies:
		c.timed(now, took)
		if c.full || c.waits() {
			if c.settled {
				c.grow(1 / c.limit)
			} else {
				c.grow(1)
			}
			c.full = false
		}
	}
}

// timed applies the part of rule 4 that looks at times.
func (c *Crowd) timed(now time.Time, took time.Duration) {
	if now.Sub(c.since) > memory {
		// The value is not reset: answers measured now may have waited in the host's queue, too.
		c.fastest, c.since = c.fastest+c.fastest/4, now
	}
	if c.fastest == 0 || took < c.fastest {
		c.fastest = took
	}
	if c.typical == 0 {
		c.typical = took
	}
	c.typical += (took - c.typical) / 8
	if c.waits() && c.typical > 4*c.fastest+standing {
		c.shrink(now, took, 0.9)
	}
}

// Moved counts n transferred bytes of bodies.
func (c *Crowd) Moved(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.began.IsZero() {
		c.began = now
	}
	c.bytes += int64(n)
	passed := now.Sub(c.began)
	if passed < window {
		return
	}
	rate := float64(c.bytes) / passed.Seconds()
	if rate > 1.1*c.best {
		c.best = rate
		if c.full || c.waits() {
			c.grow(max(1, c.limit/4))
		}
	}
	c.began, c.bytes, c.full = now, 0, false
}

func (c *Crowd) grow(by float64) {
	c.limit = min(c.limit+by, float64(c.Top))
	c.admit()
}

func (c *Crowd) shrink(now time.Time, took time.Duration, to float64) {
	if now.Before(c.calm) {
		return
	}
	c.settled, c.calm = true, now.Add(max(breather, 2*took))
	c.limit = max(c.limit*to, float64(c.floor))
	c.best *= to
}
