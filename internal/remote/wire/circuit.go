package wire

import (
	"fmt"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
)

// A host that went down in the midst of a run is found out once, not by each of a
// thousand tags: when an operation has used up its tries, and the host gave no answer
// to anybody since the first of them, the circuit opens. From then on operations fail
// at once and with that fault, but for one at a time that looks again, after a second
// and then after longer and longer. Any answer closes the circuit.

const (
	firstLook = time.Second
	lastLook  = 30 * time.Second
)

// Pulse is whether a host answers. The zero pulse is that of one that never did.
type Pulse struct {
	mu       sync.Mutex
	answered bool
	heardAt  time.Time // when it last did
	open     *circuit  // it went down; nil while it did not
}

// circuit is open.
type circuit struct {
	cause error
	since time.Time // of the first try that got no answer
	look  time.Time // when one may look again
	wait  time.Duration
}

// heard notes an answer.
func (p *Pulse) heard() {
	p.mu.Lock()
	p.answered, p.heardAt, p.open = true, time.Now(), nil
	p.mu.Unlock()
}

// Never reports whether the host never answered.
func (p *Pulse) Never() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.answered
}

// Lost opens the circuit, if the host is silent since then.
func (p *Pulse) Lost(since time.Time, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open != nil || p.heardAt.After(since) {
		return
	}
	p.open = &circuit{cause: cause, since: since, look: time.Now().Add(firstLook), wait: firstLook}
}

// IsLost reports whether the circuit is open: then nothing is tried twice.
func (p *Pulse) IsLost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open != nil
}

// Spared returns why a request of host is not made. It is nil for the one that looks again.
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
	return &fault.Fault{Kind: fault.Unavailable, Name: host, Err: fmt.Errorf("no answer since %s: %w", o.since.Format("15:04:05"), o.cause), Hint: fault.HintOf(o.cause)}
}
