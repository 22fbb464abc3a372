package limit

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/drayage/dray/ref"
)

// Budget is what is known about a registry's pull limit. Docker Hub has one: a GET of a manifest
// counts as a pull; a HEAD and blobs are free.
type Budget struct {
	Limit     int           // pulls per window; 0 if the registry reported none
	Remaining int           // pulls left, as of the last answer; 0 without a Limit
	Window    time.Duration // 0 if the registry reported none
	SpentHere int           // pulls made by this Client
	// Resets is when the whole limit is available again, at the latest. Zero while no pull is known
	// to be used.
	Resets time.Time
}

// Spent reports whether the limit is used up.
func (b Budget) Spent() bool { return b.Limit > 0 && b.Remaining <= 0 }

// spentError is the cause of a pull that was not made.
type spentError struct{ until time.Time }

func (e *spentError) Error() string {
	return "the pull limit is used up until " + Clock(e.until)
}

// Spent returns an error that says that the pull limit is used up until then. SpentUntil recognizes
// it.
func Spent(until time.Time) error { return &spentError{until} }

// SpentUntil reports whether err says that a pull limit is used up, and returns the time at which
// pulls are available again at the latest.
func SpentUntil(err error) (until time.Time, is bool) {
	var s *spentError
	if !errors.As(err, &s) {
		return time.Time{}, false
	}
	return s.until, true
}

// Clock returns t with date and zone: "2026-11-29 14:00 UTC". A wait of a few minutes has seconds.
// A minute that has begun counts as a whole one.
func Clock(t time.Time) string {
	if time.Until(t) < 10*time.Minute {
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return t.Add(time.Minute - time.Nanosecond).UTC().Format("2006-01-02 15:04 UTC")
}

const (
	slack     = 5 * time.Second // added to a window, because clocks differ
	hubWindow = 6 * time.Hour   // Docker Hub's window, if no answer reported another
	recheck   = 5 * time.Minute // how often a HEAD checks whether pulls are available again
)

// Pulls tracks a host's pull limit. It is safe for concurrent use.
type Pulls struct {
	turn Gate // for the one request that checks whether pulls are available

	mu     sync.Mutex
	limit  int // 0 before any answer reported it
	left   int
	window time.Duration
	source string // the address or account that the limit applies to
	// began is when pulls were first seen to be used. They are available again at most one window
	// later. Zero means never.
	began time.Time
	spent int
	until time.Time     // no pull before this time; zero means no wait
	free  chan struct{} // closed when pulls are available again
	told  time.Time     // the last value of until that was reported
}

// NewPulls returns nil for a host without a pull limit. Docker Hub has one under any name: a
// registry that is configured with its kind passes on its answers.
func NewPulls(host, kind string) *Pulls {
	if host != ref.DockerHub && kind != "dockerhub" {
		return nil
	}
	return &Pulls{turn: make(Gate, 1)}
}

// resets returns when the present window ends, at the latest.
func (p *Pulls) resets() time.Time {
	w := p.window
	if w <= 0 {
		w = hubWindow
	}
	return p.began.Add(w + slack)
}

// expire ends a wait and a window whose time has passed.
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

// Reply is what an answer about a manifest says about pulls.
type Reply struct {
	Method string
	Status int
	Header http.Header
	Source string // the address or account that the limit applies to, as the answer says
	Spent  bool   // the answer is the 429 for a used-up pull limit, not the one against too many requests
	Look   bool   // the request was sent alone, while all pulls waited, to ask what is left
}

// Heed records an answer about a manifest, with headers such as "ratelimit-limit: 100;w=21600". It
// returns true if the answer says that the pull limit is used up.
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
		if !p.began.IsZero() && !r.Look && left > p.left && left <= p.left+Abreast {
			left = p.left // concurrent requests may be answered in any order
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
	if after := ParseRetryAfter(r.Header.Get("Retry-After"), Sent(r.Header, now)); after > 0 {
		until = now.Add(after)
	}
	p.shut(until)
	return true
}

// Closed returns until when pulls must wait, and a channel that is closed if they are available
// earlier. A zero time means that pulls need not wait.
func (p *Pulls) Closed() (until time.Time, free chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(time.Now())
	return p.until, p.free
}

// News reports whether a wait until the given time was not reported before.
func (p *Pulls) News(until time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.told.Equal(until)
	p.told = until
	return first
}

// Budget returns what is known about the limit. ok is false if nothing is known yet.
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

// Await waits for d at most, or until free is closed. From time to time one of the waiting callers
// calls look, which checks with a HEAD that does not count as a pull. After that, Await returns
// too, and the caller has to check again.
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
