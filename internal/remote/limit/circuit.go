package limit

import (
	"fmt"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/reason"
)

// The circuit breaker finds out once that a host went down during a run, instead of once for each
// of a thousand tags. The circuit opens when an operation has used up its attempts and the host has
// not answered any request since the first of them. While the circuit is open, operations fail at
// once with that error. One operation at a time is let through to check whether the host answers
// again: after a second first, and then after longer and longer waits. Any answer closes the
// circuit.
const (
	firstLook = time.Second      // wait before the first check
	lastLook  = 30 * time.Second // longest wait between two checks
)

// Pulse records whether a host answers. The zero Pulse belongs to a host that has never answered.
type Pulse struct {
	mu       sync.Mutex
	answered bool
	heardAt  time.Time // time of the last answer
	open     *circuit  // not nil while the circuit is open
}

// circuit is an open circuit.
type circuit struct {
	cause error
	since time.Time     // of the first attempt that got no answer
	look  time.Time     // when the next check is allowed
	wait  time.Duration // wait after that check
}

// Heard records an answer.
func (p *Pulse) Heard() {
	p.mu.Lock()
	p.answered, p.heardAt, p.open = true, time.Now(), nil
	p.mu.Unlock()
}

// Never reports whether the host has never answered.
func (p *Pulse) Never() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.answered
}

// HeardSince reports whether the host has answered at since or later.
func (p *Pulse) HeardSince(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered && !p.heardAt.Before(since)
}

// Lost opens the circuit if the host has not answered after since.
func (p *Pulse) Lost(since time.Time, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open != nil || p.heardAt.After(since) {
		return
	}
	p.open = &circuit{cause: cause, since: since, look: time.Now().Add(firstLook), wait: firstLook}
}

// IsLost reports whether the circuit is open. Then no request is retried.
func (p *Pulse) IsLost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open != nil
}

// Spared returns an error if the circuit is open, in which case the request is not sent. It returns
// nil for the one request that checks whether the host answers again.
func (p *Pulse) Spared(host string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	o, now := p.open, time.Now()
	if o == nil {
		return nil
	}
	if !now.Before(o.look) {
		o.wait = min(2*o.wait, lastLook)
		o.look = now.Add(o.wait)
		return nil
	}
	since := o.since.UTC().Format("2006-01-02 15:04:05 UTC")
	return &fault.Fault{
		Kind: fault.Unavailable,
		Err:  fmt.Errorf("%s has not answered since %s: %w", host, since, reason.CauseOf(o.cause)),
		Hint: fault.HintOf(o.cause),
	}
}
