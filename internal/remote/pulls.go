package remote

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
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

// Budget tells of the pull limit of host. ok is false where there is none, or
// nothing is known of it yet. It makes no request.
func (c *Client) Budget(host string) (b Budget, ok bool) {
	name, err := ref.Host(host)
	if err != nil {
		return Budget{}, false
	}
	p := c.host(name).pulls
	if p == nil {
		return Budget{}, false
	}
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

// spentError is why a pull was not made.
type spentError struct{ until time.Time }

func (e *spentError) Error() string {
	return "the pulls are spent until " + clock(e.until)
}

// SpentUntil reports whether err says that a pull limit is spent, and until when at the latest.
func SpentUntil(err error) (until time.Time, is bool) {
	var s *spentError
	if !errors.As(err, &s) {
		return time.Time{}, false
	}
	return s.until, true
}

// clock writes a time of day, with the day where that is not today's.
func clock(t time.Time) string {
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

// pulls keeps count of a host's pull limit.
type pulls struct {
	turn gate // of the one request that looks whether pulls are back

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

// newPulls is nil for hosts that have no such limit. Docker Hub has it under any
// name: one that is configured to be of its kind passes its answers on.
func newPulls(host, kind string) *pulls {
	if host != ref.DockerHub && kind != "hub" {
		return nil
	}
	return &pulls{turn: make(gate, 1)}
}

// onManifest reports whether c reads or looks at a manifest. Both tell what is left; only a GET is counted.
func (c *call) onManifest() bool {
	return (c.method == http.MethodGet || c.method == http.MethodHead) && strings.Contains(c.path, "/manifests/")
}

// resets is when the window that is known of ends, at the latest.
func (p *pulls) resets() time.Time {
	w := p.window
	if w <= 0 {
		w = hubWindow
	}
	return p.began.Add(w + slack)
}

// expire opens what a time that has passed kept closed, and begins a new window after the old one.
func (p *pulls) expire(now time.Time) {
	if !p.until.IsZero() && !now.Before(p.until) {
		p.open()
		p.left, p.began = p.limit, time.Time{}
	}
	if !p.began.IsZero() && !now.Before(p.resets()) {
		p.left, p.began = p.limit, time.Time{}
	}
}

func (p *pulls) open() {
	p.until = time.Time{}
	if p.free != nil {
		close(p.free)
		p.free = nil
	}
}

func (p *pulls) shut(until time.Time) {
	p.until = until
	if p.free == nil {
		p.free = make(chan struct{})
	}
}

// heed reads what an answer about a manifest says: "ratelimit-limit: 100;w=21600".
// It is true for the 429 that says that the pulls are spent; the plain 429 against
// floods of requests is none of its business.
func (p *pulls) heed(c *call, a *answer) (spent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.expire(now)
	if c.method == http.MethodGet && a.status == http.StatusOK {
		p.spent++
	}
	if source := clean(a.header.Get("Docker-Ratelimit-Source")); source != "" && source != p.source {
		if p.source != "" { // another login or address, and so another window
			p.began = time.Time{}
			p.open()
		}
		p.source = source
	}
	limit, window, told := quota(a.header.Get("Ratelimit-Limit"))
	left, _, counted := quota(a.header.Get("Ratelimit-Remaining"))
	if told && counted {
		if !p.began.IsZero() && c.method == http.MethodGet && left > p.left && left <= p.left+small {
			left = p.left // answers to requests side by side come in any order
		}
		p.limit, p.left, p.window = limit, left, window
		if left >= limit && left > 0 {
			p.began = time.Time{}
		}
	}
	if p.began.IsZero() && (c.method == http.MethodGet || p.left < p.limit || counted && left == 0) {
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
	if a.status != http.StatusTooManyRequests || c.method != http.MethodGet || !pullLimit(a) {
		return false
	}
	p.left = 0
	until := p.resets()
	if after := parseRetryAfter(a.header.Get("Retry-After"), now); after > 0 {
		until = now.Add(after)
	}
	p.shut(until)
	return true
}

// pullLimit recognises Docker Hub's words: "You have reached your pull rate limit. … https://www.docker.com/increase-rate-limit".
func pullLimit(a *answer) bool {
	_, text := a.problem()
	text = strings.ToLower(text + " " + string(a.raw[:min(len(a.raw), 4096)]))
	return strings.Contains(text, "pull rate limit") || strings.Contains(text, "increase-rate-limit")
}

// quota reads "100;w=21600": a count and, in seconds, a window.
func quota(s string) (n int, window time.Duration, ok bool) {
	count, params, _ := strings.Cut(s, ";")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if err != nil || n < 0 {
		return 0, 0, false
	}
	for _, param := range strings.Split(params, ";") {
		if v, is := strings.CutPrefix(strings.TrimSpace(param), "w="); is {
			if seconds, err := strconv.Atoi(v); err == nil && seconds > 0 && seconds <= 31*86400 {
				window = time.Duration(seconds) * time.Second
			}
		}
	}
	return n, window, true
}

// closed says until when pulls have to wait; zero is not at all.
func (p *pulls) closed() (until time.Time, free chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(time.Now())
	return p.until, p.free
}

// news is true for the first who waits until then.
func (p *pulls) news(until time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.told.Equal(until)
	p.told = until
	return first
}

// admit lets a pull go when there are some left. It waits for them, unless that
// takes longer than MaxWait, or the caller would rather do something else.
func (h *host) admit(ctx context.Context, c *call) error {
	if h.pulls == nil || c.method != http.MethodGet || !c.onManifest() {
		return nil
	}
	for {
		until, free := h.pulls.closed()
		if until.IsZero() {
			return nil
		}
		d := time.Until(until)
		if d > h.options.MaxWait || c.yield != nil && c.yield() {
			return &fault.Fault{Kind: fault.Throttled, Op: c.op, Name: c.name, RetryAfter: d, Err: &spentError{until},
				Hint: "try again then, raise the longest wait, or use another login for " + h.name}
		}
		if h.pulls.news(until) {
			c.observe.Tell(event.Event{Kind: event.Waiting, Host: h.name, Name: c.name, Wait: d, Text: h.name + ": pulls spent, until " + clock(until)})
		}
		if err := h.refilled(ctx, c, free, d); err != nil {
			return c.stopped(ctx, err)
		}
	}
}

// refilled waits until pulls are back, or may be. One waiter looks with a HEAD now and then, which is free.
func (h *host) refilled(ctx context.Context, c *call, free chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-free:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case h.pulls.turn <- struct{}{}:
	}
	defer h.pulls.turn.leave()
	select {
	case <-free:
		return nil
	default:
	}
	if err := sleep(ctx, min(d, recheck)); err != nil {
		return err
	}
	look := *c
	look.method, look.limit = http.MethodHead, 0
	if a, err := h.try(ctx, &look); err == nil {
		h.pulls.heed(&look, a)
	}
	return nil
}

// kept holds documents that were pulls, so that none is made twice.
type kept struct {
	mu    sync.Mutex
	docs  map[oci.Digest]oci.Document
	bytes int
}

// maxKept is how many bytes of documents one Repository keeps: 16 MiB.
const maxKept = 16 << 20

func (k *kept) get(d string) (oci.Document, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	doc, ok := k.docs[oci.Digest(d)]
	return doc, ok
}

func (k *kept) put(doc oci.Document) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.docs == nil {
		k.docs = map[oci.Digest]oci.Document{}
	}
	if _, have := k.docs[doc.Digest]; !have && k.bytes+len(doc.Raw) <= maxKept {
		k.docs[doc.Digest] = doc
		k.bytes += len(doc.Raw)
	}
}
