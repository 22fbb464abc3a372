package remote

import (
	"fmt"
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

// circuit is open. host.mu guards it.
type circuit struct {
	cause error
	since time.Time // of the first try that got no answer
	look  time.Time // when one may look again
	wait  time.Duration
}

// lost opens the circuit, if the host is silent since then.
func (h *host) lost(since time.Time, cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open != nil || h.heardAt.After(since) {
		return
	}
	h.open = &circuit{cause: cause, since: since, look: time.Now().Add(firstLook), wait: firstLook}
}

// isLost reports whether the circuit is open: then nothing is tried twice.
func (h *host) isLost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open != nil
}

// spared returns why a request is not made. It is nil for the one that looks again.
func (h *host) spared() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, now := h.open, time.Now()
	if o == nil {
		return nil
	}
	if !now.Before(o.look) {
		o.wait = min(2*o.wait, lastLook)
		o.look = now.Add(o.wait)
		return nil
	}
	return &fault.Fault{Kind: fault.Unavailable, Name: h.name, Err: fmt.Errorf("no answer since %s: %w", o.since.Format("15:04:05"), o.cause), Hint: fault.HintOf(o.cause)}
}
