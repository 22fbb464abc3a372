// Package room bounds the memory that a process uses at the same time for documents: those of the images that it
// copies, and those that it is reading.
package room

import (
	"context"
	"sync"
)

// Room is an amount of memory, in bytes, which accounts take their part of. It is safe for concurrent use.
type Room struct {
	size int64

	mu      sync.Mutex
	used    int64
	working int        // accounts that hold something, and neither wait nor rest
	queue   []*waiting // in the order in which they came
}

// waiting is an account that waits for n bytes. got is closed when it has them.
type waiting struct {
	by  *Account
	n   int64
	got chan struct{}
}

// New returns a Room of size bytes.
func New(size int64) *Room { return &Room{size: size} }

// Account is what one image, or one answer, takes of a Room. Rest is safe for concurrent use; the other methods
// must not be called at the same time.
type Account struct {
	of   *Room
	held int64
	idle int // how many times it waits or rests
}

// Open returns an account that holds nothing. The caller must close it. A nil Room gives an account that takes
// without a limit.
func (r *Room) Open() *Account { return &Account{of: r} }

// Take takes n more bytes, and waits for them if others hold too much. If all accounts that hold something wait or
// rest, none of them can give anything back: then the first one that waits gets what it asks for, although the
// Room is full. So the Room is exceeded by at most what that account and those inside of it take, which their
// owners bound.
func (a *Account) Take(ctx context.Context, n int64) error {
	r := a.of
	if r == nil || n <= 0 {
		return nil
	}
	r.mu.Lock()
	a.rest()
	w := &waiting{by: a, n: n, got: make(chan struct{})}
	r.queue = append(r.queue, w)
	r.serve()
	r.mu.Unlock()
	select {
	case <-w.got:
		return nil
	default:
	}
	select {
	case <-w.got:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, other := range r.queue {
		if other == w {
			r.queue = append(r.queue[:i], r.queue[i+1:]...)
			a.work()
			r.serve()
			return context.Cause(ctx)
		}
	}
	return nil // it got them at this moment
}

// Held returns how many bytes the account holds.
func (a *Account) Held() int64 { return a.held }

// Rest says that the account gives nothing back before back is called, because its owner waits for work that may
// need room itself. It may rest several times at once.
func (a *Account) Rest() (back func()) {
	r := a.of
	if r == nil {
		return func() {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a.rest()
	r.serve()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		a.work()
	}
}

// Close gives back all that the account holds.
func (a *Account) Close() {
	r := a.of
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a.rest()
	r.used -= a.held
	a.held = 0
	a.work()
	r.serve()
}

// rest and work say whether the account counts as working. The caller holds the lock.
func (a *Account) rest() {
	if a.idle++; a.idle == 1 && a.held > 0 {
		a.of.working--
	}
}

func (a *Account) work() {
	if a.idle--; a.idle == 0 && a.held > 0 {
		a.of.working++
	}
}

// serve gives room to those who wait, in their order. The caller holds the lock.
func (r *Room) serve() {
	for len(r.queue) > 0 {
		w := r.queue[0]
		if r.used+w.n > r.size && r.working > 0 {
			return
		}
		r.queue = r.queue[1:]
		r.used += w.n
		w.by.held += w.n
		w.by.work()
		close(w.got)
	}
}
