package remote

import (
	"context"
	"sync"
	"time"
)

// abreast is how many small requests one question about many blobs or manifests takes.
const abreast = 32

// sleep waits for d or for the end of ctx, whose cause it returns.
func sleep(ctx context.Context, d time.Duration) error {
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

// gate has as many places as its capacity. The nil gate lets everybody pass.
type gate chan struct{}

func (g gate) enter(ctx context.Context) error {
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

func (g gate) leave() {
	if g != nil {
		<-g
	}
}

// pace spreads units evenly over time. The zero pace lets everything pass.
type pace struct {
	perSecond float64

	mu   sync.Mutex
	next time.Time
}

// take waits until n more units may pass.
func (p *pace) take(ctx context.Context, n int64) error {
	if p.perSecond <= 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(n) / p.perSecond * float64(time.Second)))
	p.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	return sleep(ctx, wait)
}

// pause holds everybody until a time. The zero pause holds nobody.
type pause struct {
	mu  sync.Mutex
	end time.Time
}

// until makes everybody wait until t. news is false when they would have waited
// about as long anyway.
func (p *pause) until(t time.Time) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	news = t.Sub(p.end) > 100*time.Millisecond
	if t.After(p.end) {
		p.end = t
	}
	return news
}

// holds reports whether it does now.
func (p *pause) holds() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.end)
}

// await returns when it holds nobody.
func (p *pause) await(ctx context.Context) error {
	for {
		p.mu.Lock()
		d := time.Until(p.end)
		p.mu.Unlock()
		if d <= 0 {
			return nil
		}
		if err := sleep(ctx, d); err != nil {
			return err
		}
	}
}
