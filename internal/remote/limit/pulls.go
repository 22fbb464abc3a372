package limit

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/drayage/dray/ref"
)

// Budget is what is known of a registry's pull limit. Docker Hub has one: a GET
// of a manifest is a pull, a HEAD is free, and so are blobs.
type Budget struct {
	Limit     int           // pulls in a window; 0 where the registry told of none
	Remaining int           // pulls left, as of the last answer; 0 without a Limit
	Window    time.Duration // 0 where the registry told of none
	SpentHere int           // pulls of this Client
	Resets    time.Time     // when all of it is back, at the latest; zero while nothing is known to be spent
}

// Spent reports whether pulls have to wait.
func (b Budget) Spent() bool { return b.Limit > 0 && b.Remaining <= 0 }

// spentError is why a pull was not made.
type spentError struct{ until time.Time }

func (e *spentError) Error() string {
	return "the pulls are spent until " + Clock(e.until)
}

// Spent says that the pulls are spent until then, so that SpentUntil finds it.
func Spent(until time.Time) error { return &spentError{until} }

// SpentUntil reports whether err says that a pull limit is spent, and until when at the latest.
func SpentUntil(err error) (until time.Time, is bool) {
	var s *spentError
	if !errors.As(err, &s) {
		return time.Time{}, false
	}
	return s.until, true
}

// Clock writes a time of day, with the day where that is not today's.
func Clock(t time.Time) string {
	if time.Until(t) > 12*time.Hour {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04")
}

const (
	slack     = 5 * time.Second // after a window, for clocks that differ
	hubWindow = 6 * time.Hour   // of Docker Hub, where no answer told another
	recheck   = 5 * time.Minute // how often a HEAD is spent to see whether pulls are back
)

// Pulls keeps count of a host's pull limit.
type Pulls struct {
	turn Gate // of the one request that looks whether pulls are back

	mu     sync.Mutex
	limit  int // 0 before any answer told
	left   int
	window time.Duration
	source string    // whose limit it is: an address or an account
	began  time.Time // when something was first seen to be spent: it is back no later than a window after that; zero is never
	spent  int
	until  time.Time     // no pull before; zero is none
	free   chan struct{} // closed when pulls are back
	told   time.Time     // the until that somebody was told of
}

// NewPulls is nil for hosts that have no such limit. Docker Hub has it under any
// name: one that is configured to be of its kind passes its answers on.
func NewPulls(host, kind string) *Pulls {
	if host != ref.DockerHub && kind != "hub" {
		return nil
	}
	return &Pulls{turn: make(Gate, 1)}
}

// resets is when the window that is known of ends, at the latest.
func (p *Pulls) resets() time.Time {
	w := p.window
	if w <= 0 {
		w = hubWindow
	}
	return p.began.Add(w + slack)
}

// expire opens what a time that has passed kept closed, and begins a new window after the old one.
func (p *Pulls) expire(now time.Time) {
	if !p.until.IsZero() && !now.Before(p.until) {
		p.open()
		p.left, p.began = p.limit, time.Time{}
	}
	if !p.began.IsZero() && !now.Before(p.resets()) {
		p.left, p.began = p.limit, time.Time{}
	}
}

func (p *Pulls) open() {
	p.until = time.Time{}
	if p.free != nil {
		close(p.free)
		p.free = nil
	}
}

func (p *Pulls) shut(until time.Time) {
	p.until = until
	if p.free == nil {
		p.free = make(chan struct{})
	}
}

// Reply is an answer about a manifest, as far as it tells of pulls.
type Reply struct {
	Method string
	Status int
	Header http.Header
	Source string // whose limit it is, as the answer says
	Spent  bool   // it is the 429 that says that the pulls are spent, not the plain one against floods of requests
}

// Heed reads what an answer about a manifest says: "ratelimit-limit: 100;w=21600".
// It returns whether that is that the pulls are spent.
func (p *Pulls) Heed(r Reply) (spent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.expire(now)
	if r.Method == http.MethodGet && r.Status == http.StatusOK {
		p.spent++
	}
	if source := r.Source; source != "" && source != p.source {
		if p.source != "" { // another login or address, and so another window
			p.began = time.Time{}
			p.open()
		}
		p.source = source
	}
	limit, window, told := quota(r.Header.Get("Ratelimit-Limit"))
	left, _, counted := quota(r.Header.Get("Ratelimit-Remaining"))
	if told && counted {
		if !p.began.IsZero() && r.Method == http.MethodGet && left > p.left && left <= p.left+Abreast {
			left = p.left // answers to requests side by side come in any order
		}
		p.limit, p.left, p.window = limit, left, window
		if left >= limit && left > 0 {
			p.began = time.Time{}
		}
	}
	if p.began.IsZero() && (r.Method == http.MethodGet || p.left < p.limit || counted && left == 0) {
		p.began = now
	}
	if told && counted {
		switch {
		case left > 0:
			p.open()
		case p.until.IsZero():
			p.shut(p.resets())
		}
	}
	if !r.Spent {
		return false
	}
	p.left = 0
	until := p.resets()
	if after := ParseRetryAfter(r.Header.Get("Retry-After"), now); after > 0 {
		until = now.Add(after)
	}
	p.shut(until)
	return true
}

// Closed says until when pulls have to wait; zero is not at all.
func (p *Pulls) Closed() (until time.Time, free chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(time.Now())
	return p.until, p.free
}

// News is true for the first who waits until then.
func (p *Pulls) News(until time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.told.Equal(until)
	p.told = until
	return first
}

// Budget is what is known. ok is false where that is nothing yet.
func (p *Pulls) Budget() (b Budget, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(time.Now())
	b = Budget{Limit: p.limit, Window: p.window, SpentHere: p.spent}
	if p.limit > 0 {
		b.Remaining = max(p.left, 0)
	}
	if !p.until.IsZero() {
		b.Remaining, b.Limit = 0, max(p.limit, 1)
	}
	if b.Remaining < b.Limit && !p.began.IsZero() {
		b.Resets = p.resets()
	}
	if !p.until.IsZero() {
		b.Resets = p.until
	}
	return b, b.Limit > 0 || b.SpentHere > 0
}

// Await waits until pulls are back, or may be: until a time, or what free tells. Now and
// then one of those who wait looks, which is free.
func (p *Pulls) Await(ctx context.Context, free chan struct{}, d time.Duration, look func()) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-free:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case p.turn <- struct{}{}:
	}
	defer p.turn.Leave()
	select {
	case <-free:
		return nil
	default:
	}
	if err := Sleep(ctx, min(d, recheck)); err != nil {
		return err
	}
	look()
	return nil
}
