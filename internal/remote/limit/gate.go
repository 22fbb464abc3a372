package limit

import (
	"context"
	"sync"
	"time"
)

// Abreast is how many small requests one question about many blobs or manifests takes.
const Abreast = 32

// Sleep waits for d or for the end of ctx, whose cause it returns.
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

// Gate has as many places as its capacity. The nil gate lets everybody pass.
type Gate chan struct{}

// Enter waits for a place, or for the end of ctx, whose cause it returns.
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

// Pace spreads units evenly over time. The zero pace lets everything pass.
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

// Pause holds everybody until a time. The zero pause holds nobody.
type Pause struct {
	mu  sync.Mutex
	end time.Time
}

// Until makes everybody wait until t. news is false when they would have waited
// about as long anyway.
func (p *Pause) Until(t time.Time) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	news = t.Sub(p.end) > 100*time.Millisecond
	if t.After(p.end) {
		p.end = t
	}
	return news
}

// Holds reports whether it does now.
func (p *Pause) Holds() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.end)
}

// Await returns when it holds nobody.
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
