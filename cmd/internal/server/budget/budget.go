// Package budget keeps all workers of a database together within the rate limits of each registry.
package budget

import (
	"context"
	"sync"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server/measure"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
)

// The classes of requests that a registry may limit separately.
const (
	allRequests = "requests"  // every request
	writes      = "writes"    // every request that writes, manifests included
	manifests   = "manifests" // a request that writes a manifest
)

// drawsPerSecond is how often a busy process draws from one bucket of the database. Each time it
// draws the requests that the registry allows in 1/5 s, and then uses them without asking the
// database.
const drawsPerSecond = 5

// Budgets are the rate limits of registries. Each limit is a token bucket in the database, from which all workers draw.
// The zero value must not draw before Serve is called.
type Budgets struct {
	queue   *job.Queue
	dray    *dray.Dray
	metrics *measure.Metrics

	mu   sync.Mutex
	held map[place.Draw]*held
}

// held is what a process has of one bucket.
type held struct {
	left    int           // requests that are drawn and not used yet
	waiting int           // requests that wait for the next draw
	turn    chan struct{} // holds the turn to draw, unless somebody has it
}

// Serve sets what Draw needs. It exists because dray needs Draw before it is created itself.
func (b *Budgets) Serve(q *job.Queue, d *dray.Dray, m *measure.Metrics) {
	b.queue, b.dray, b.metrics, b.held = q, d, m, map[place.Draw]*held{}
}

// Draw waits until a request may be sent. If the database does not answer, the request may be sent
// at once: the registry itself refuses requests over its limit.
func (b *Budgets) Draw(ctx context.Context, d place.Draw) error {
	for _, a := range b.dray.Allowances(d.Host) {
		if !counts(string(a.Class), string(d.Class)) {
			continue
		}
		of := place.Draw{Host: d.Host, Identity: d.Identity, Class: a.Class}
		if err := b.take(ctx, of, a); err != nil {
			return err
		}
	}
	return nil
}

// counts reports whether a bucket of the class bucket counts a request of the class request.
func counts(bucket, request string) bool {
	return bucket == allRequests || bucket == request || bucket == writes && request == manifests
}

// take waits until the bucket of allows one request, and uses it. Of the requests that wait for one bucket, one draws
// for all.
func (b *Budgets) take(ctx context.Context, of place.Draw, a dray.Allowance) error {
	rate := a.N / a.Per.Seconds()
	if a.Per >= time.Minute {
		rate *= 0.9 // keep a margin: registries do not count limits per minute as exactly as they publish them
	}
	burst := max(1, int(a.N/10))
	want := min(burst, max(1, int(rate/drawsPerSecond)))
	h := b.of(of)
	if b.use(h) {
		return nil
	}
	began := time.Now()
	b.change(h, 0, 1)
	defer b.change(h, 0, -1)
	defer func() { b.metrics.Waited(of.Host, time.Since(began)) }()
	select {
	case <-h.turn:
	case <-ctx.Done():
		return stopped(ctx, of)
	}
	defer func() { h.turn <- struct{}{} }()
	for !b.use(h) {
		got, wait, err := b.queue.Draw(ctx, of.Host, of.Identity, string(of.Class), rate, burst, want)
		if ctx.Err() != nil {
			return stopped(ctx, of)
		}
		if err != nil {
			got = b.change(h, 0, 0) // the others would wait for the same
		}
		if got > 0 {
			b.change(h, got, 0)
			continue
		}
		// The next draw is for all that wait, so it comes when there is something for each of them.
		more := min(want, b.change(h, 0, 0)) - 1
		select {
		case <-time.After(wait + time.Duration(float64(more)/rate*float64(time.Second))):
		case <-ctx.Done():
		}
	}
	return nil
}

func stopped(ctx context.Context, of place.Draw) error {
	return &fault.Fault{Kind: fault.Canceled, Op: "wait for the budget of", Name: of.Host, Err: context.Cause(ctx)}
}

// of returns what this process has of a bucket.
func (b *Budgets) of(of place.Draw) *held {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.held[of]
	if h == nil {
		h = &held{turn: make(chan struct{}, 1)}
		h.turn <- struct{}{}
		b.held[of] = h
	}
	return h
}

// use uses one request that was already drawn, and reports whether there was one.
func (b *Budgets) use(h *held) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.left == 0 {
		return false
	}
	h.left--
	return true
}

// change adds to the requests that are drawn, and to those that wait for the next draw, and returns how many wait.
func (b *Budgets) change(h *held, left, waiting int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.left, h.waiting = h.left+left, h.waiting+waiting
	return h.waiting
}
