package azure

import (
	"context"
	"sync"
	"time"
)

// The resource manager counts the writes of an identity in a subscription: a bucket of 200 that refills by 10 a second
// (Azure Resource Manager, "Understand how throttling works", limits since 2024).
const (
	burst     = 200
	perSecond = 10
)

// pace spreads writes, so that the resource manager does not have to refuse them. The zero pace has a full bucket.
type pace struct {
	mu    sync.Mutex
	used  float64   // writes that are not refilled yet
	since time.Time // when used was computed
}

// enter waits until another write may be sent.
func (p *pace) enter(ctx context.Context) error {
	p.mu.Lock()
	p.refill()
	p.used++
	wait := time.Duration((p.used - burst) / perSecond * float64(time.Second))
	p.mu.Unlock()
	return sleep(ctx, wait)
}

// left takes over what the resource manager says is left of the bucket, if that is less than what is known here:
// others write with the same identity, too.
func (p *pace) left(writes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refill()
	p.used = max(p.used, float64(burst-writes))
}

func (p *pace) refill() {
	now := time.Now()
	if !p.since.IsZero() {
		p.used = max(0, p.used-now.Sub(p.since).Seconds()*perSecond)
	}
	p.since = now
}

// sleep waits for d, or until ctx ends: then it returns the cause.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
