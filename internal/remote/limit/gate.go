package limit

import (
	"context"
	"sync"
	"time"
)

// Abreast is the number of small requests that are made at once to check many blobs or manifests.
const Abreast = 32

// Sleep waits for d. If ctx ends first, it returns its cause.
func Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Gate is a semaphore with as many places as its capacity. The nil Gate has unlimited places.
type Gate chan struct{}

// Enter waits for a place. If ctx ends first, it returns its cause.
func (g Gate) Enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if g == nil {
		return nil
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Leave gives the place back.
func (g Gate) Leave() {
	if g != nil {
		<-g
	}
}

// Pace spreads units, such as bytes, evenly over time. The zero Pace has no limit.
type Pace struct {
	PerSecond float64

	mu   sync.Mutex
	next time.Time
}

// Take waits until n more units may pass.
func (p *Pace) Take(ctx context.Context, n int64) error {
	if p.PerSecond <= 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(n) / p.PerSecond * float64(time.Second)))
	p.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	return Sleep(ctx, wait)
}

// Pause holds back all requests until some time. The zero Pause holds back none.
type Pause struct {
	mu  sync.Mutex
	end time.Time
}

// Until extends the pause to t. It returns news = false if the pause lasted about as long anyway.
func (p *Pause) Until(t time.Time) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	news = t.Sub(p.end) > 100*time.Millisecond
	if t.After(p.end) {
		p.end = t
	}
	return news
}

// Ends returns when the pause ends, and whether it is in effect.
func (p *Pause) Ends() (until time.Time, holds bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end, time.Now().Before(p.end)
}

// Await waits until the pause is over. If ctx ends first, it returns its cause.
func (p *Pause) Await(ctx context.Context) error {
	for {
		p.mu.Lock()
		d := time.Until(p.end)
		p.mu.Unlock()
		if d <= 0 {
			return nil
		}
		if err := Sleep(ctx, d); err != nil {
			return err
		}
	}
}
