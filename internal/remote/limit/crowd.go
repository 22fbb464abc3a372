package limit

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Crowd finds out how many requests a host gets at once, while they are made. A host has one
// for small requests, one for blobs that are read and one for blobs that are written. Five
// rules, which look at what was answered and at who waits, and at nothing else:
//
//  1. The number goes up only while somebody waits for a place: there is no use in room
//     that nobody takes.
//  2. Small requests: each answer adds one place, which doubles the number in a round
//     trip, until the first trouble; after that a whole round of answers adds one.
//  3. Bodies: every half second the bytes are counted. While they are a tenth
//     more than ever before, a quarter of the number is added: a link that is full, or
//     a disk, stops that by itself.
//  4. A 429 halves the number and a 5xx takes a quarter of it; then a tenth go where
//     small requests take four times as long as the fastest of late, and 50 ms: they
//     stand in a queue there. That is at most once in two of the times that the answer
//     took, and 100 ms: those that follow belong to requests that were under way already.
//  5. Small bodies do not stand behind large ones: a quarter of the places is for them
//     while some wait, and half as many as all beside.
//
// The number never leaves the range that configuration and dialect give.
type Crowd struct {
	floor, Top int
	bodies     bool

	mu      sync.Mutex
	limit   float64
	used    int // large and small
	large   int
	queue   []chan struct{} // closed when a place is the waiter's
	quick   []chan struct{} // of small bodies
	settled bool            // there was trouble, so doubling is over
	calm    time.Time       // nothing is taken away before

	full  bool // somebody waited in this window
	began time.Time
	bytes int64
	best  float64 // bytes in a second

	fastest time.Duration // of late; it is forgotten slowly
	since   time.Time     // when some of it was
	typical time.Duration // moving average
}

const (
	window   = 500 * time.Millisecond
	breather = 100 * time.Millisecond
	memory   = 30 * time.Second // in which the fastest is forgotten by a quarter
	standing = 50 * time.Millisecond
)

// NewCrowd is for small requests: start of them at once at first, top at most.
func NewCrowd(start, top int) *Crowd {
	return &Crowd{floor: min(2, top), Top: top, limit: float64(min(start, top))}
}

// NewBodies is for blobs.
func NewBodies(start, top int) *Crowd {
	c := NewCrowd(start, top)
	c.bodies = true
	return c
}

// SmallBody is the size in bytes below which a body is small: 1 MiB.
const SmallBody = 1 << 20

// free reports whether there is a place for the next to come in.
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

// take counts who has a place now.
func (c *Crowd) take(small bool, n int) {
	c.used += n
	if !small {
		c.large += n
	}
}

// Enter takes a place, in the order of asking. small is a small body.
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
	c.take(small, -1) // the place came at the same moment
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

// admit gives out places while there are some.
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

// waits reports whether somebody does.
func (c *Crowd) waits() bool { return len(c.queue)+len(c.quick) > 0 }

// Answered learns from an answer of a status, which took so long.
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

// timed is the part of rule 4 that looks at time.
func (c *Crowd) timed(now time.Time, took time.Duration) {
	if now.Sub(c.since) > memory {
		c.fastest, c.since = c.fastest+c.fastest/4, now // not anew: what is asked now may stand in the queue, too
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

// Moved counts n bytes of bodies.
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
