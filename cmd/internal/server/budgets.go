package server

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

// Classes of requests that a registry may count apart; the first are all.
const (
	allRequests = "requests"
	writes      = "writes"
	manifests   = "manifests" // writes, too
)

// drawsPerSecond is how often a process asks the database for one bucket while it is busy:
// it takes what the registry allows in the time between, and uses that without asking.
const drawsPerSecond = 5

// budgets keep all workers of a database together to what a registry allows. Its zero value
// waits for serve.
type budgets struct {
	queue   *job.Queue
	dray    *dray.Dray
	metrics *measure.Metrics

	mu   sync.Mutex
	held map[place.Draw]int // drawn and not used
}

func (b *budgets) serve(q *job.Queue, d *dray.Dray, m *measure.Metrics) {
	b.queue, b.dray, b.metrics, b.held = q, d, m, map[place.Draw]int{}
}

// draw waits until a request may be sent. Where the database does not answer it may:
// whoever sends too much then is told so by the registry.
func (b *budgets) draw(ctx context.Context, d place.Draw) error {
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

// counts reports whether a bucket of one class is for a request of another.
func counts(bucket, request string) bool {
	return bucket == allRequests || bucket == request || bucket == writes && request == manifests
}

func (b *budgets) take(ctx context.Context, of place.Draw, a dray.Allowance) error {
	rate := a.N / a.Per.Seconds()
	if a.Per >= time.Minute {
		rate *= 0.9 // what is published by the minute is not counted as exactly as it is printed
	}
	for !b.use(of) {
		got, wait, err := b.queue.Draw(ctx, of.Host, of.Identity, string(of.Class), rate, max(1, int(a.N/10)), max(1, int(rate/drawsPerSecond)))
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

func (b *budgets) use(of place.Draw) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[of] == 0 {
		return false
	}
	b.held[of]--
	return true
}
