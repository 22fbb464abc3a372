package remote

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// passing reports whether trying again may help.
func passing(err error) bool {
	return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Throttled)
}

// budget is how often one operation may still go wrong.
type budget struct {
	host *host
	call *call
	used int
	from time.Time // of the first failure; zero before any
}

func (h *host) budget(c *call) *budget { return &budget{host: h, call: c} }

// refill is for progress: an operation that moves on is not failing.
func (b *budget) refill() { b.used, b.from = 0, time.Time{} }

// wait sleeps before the next try because of err. It returns the error to give
// up with when the budget is spent, the registry asks for more than MaxWait,
// or the caller gave up.
func (b *budget) wait(ctx context.Context, err error) error {
	h := b.host
	if b.from.IsZero() {
		b.from = time.Now()
	}
	if h.pulse.isLost() {
		return err
	}
	if b.used >= h.tries() {
		h.pulse.lost(b.from, err)
		return err
	}
	asked := retryAfter(err)
	d := asked
	if d == 0 {
		d = backoff(b.used)
	}
	b.used++
	if asked > h.options.MaxWait {
		return tooLong(err, asked)
	}
	tell := event.Event{Host: h.name, Name: b.call.name, Method: b.call.method, Wait: d, Err: err}
	if fault.Is(err, fault.Throttled) {
		until := time.Now().Add(d)
		if h.pause.until(until) {
			waiting := tell
			waiting.Kind, waiting.Text = event.Waiting, h.name+" asks to wait until "+until.Format("15:04:05")
			b.call.observe.Tell(waiting)
		}
	}
	tell.Kind = event.Retried
	b.call.observe.Tell(tell)
	if sleep(ctx, d) != nil {
		return b.call.stopped(ctx, err)
	}
	return nil
}

func tooLong(err error, d time.Duration) error {
	until := time.Now().Add(d).Round(time.Minute)
	layout := "15:04"
	if d > 12*time.Hour {
		layout = "2006-01-02 15:04"
	}
	return &fault.Fault{Kind: fault.Throttled, RetryAfter: d, Hint: "try again then, or raise the longest wait",
		Err: fmt.Errorf("the registry asks to wait until %s: %w", until.Format(layout), err)}
}

func retryAfter(err error) time.Duration {
	if f, ok := err.(*fault.Fault); ok {
		return f.RetryAfter
	}
	return 0
}

// backoff is the wait before try n+1: exponential from 0.5 s to 60 s, with full jitter.
func backoff(n int) time.Duration {
	top := min(500*time.Millisecond<<min(n, 10), time.Minute)
	return time.Millisecond + rand.N(top) //nolint:gosec // spreads load, hides nothing
}
