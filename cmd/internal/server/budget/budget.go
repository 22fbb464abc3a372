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
	held map[place.Draw]int // requests that are drawn and not used yet
}

// Serve sets what Draw needs. It exists because dray needs Draw before it is created itself.
func (b *Budgets) Serve(q *job.Queue, d *dray.Dray, m *measure.Metrics) {
	b.queue, b.dray, b.metrics, b.held = q, d, m, map[place.Draw]int{}
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

// take waits until the bucket of allows one request, and uses it.
func (b *Budgets) take(ctx context.Context, of place.Draw, a dray.Allowance) error {
	rate := a.N / a.Per.Seconds()
	if a.Per >= time.Minute {
		rate *= 0.9 // keep a margin: registries do not count limits per minute as exactly as they publish them
	}
	burst, want := max(1, int(a.N/10)), max(1, int(rate/drawsPerSecond))
	for !b.use(of) {
		got, wait, err := b.queue.Draw(ctx, of.Host, of.Identity, string(of.Class), rate, burst, want)
		switch {
		case ctx.Err() != nil:
			return &fault.Fault{Kind: fault.Canceled, Op: "wait for the budget of", Name: of.Host, Err: context.Cause(ctx)}
		case err != nil:
			return nil
		case got > 0:
			b.mu.Lock()
			b.held[of] += got
			b.mu.Unlock()
			continue
		}
		b.metrics.Waited(of.Host, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return nil
}

// use uses one request that was already drawn, and reports whether there was one.
func (b *Budgets) use(of place.Draw) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[of] == 0 {
		return false
	}
	b.held[of]--
	return true
}
