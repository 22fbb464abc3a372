package ask

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
)

// Passing reports whether err is temporary, so that another attempt may help.
func Passing(err error) bool {
	return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Throttled)
}

// Budget counts the failures of one operation and limits its retries.
type Budget struct {
	host *Host
	call *wire.Call
	used int
	from time.Time // of the first failure; zero if there was none
}

// Budget returns a full retry budget for the operation that c belongs to.
func (h *Host) Budget(c *wire.Call) *Budget { return &Budget{host: h, call: c} }

// Refill resets the budget after progress: only failures without progress in between count.
func (b *Budget) Refill() { b.used, b.from = 0, time.Time{} }

// Wait sleeps before the next attempt, which err made necessary. It returns the error to give up
// with if the budget is used up, if the registry asks for a wait longer than MaxWait, or if ctx
// ended.
func (b *Budget) Wait(ctx context.Context, err error) error {
	h := b.host
	if b.from.IsZero() {
		b.from = time.Now()
	}
	if h.Pulse.IsLost() {
		return err
	}
	if b.used >= h.Tries() {
		h.Pulse.Lost(b.from, err)
		return err
	}
	asked := retryAfter(err)
	d := asked
	if d == 0 {
		d = backoff(b.used)
	}
	b.used++
	if p := b.call.Patience; p > 0 && time.Since(b.from)+d > p {
		return err
	}
	if asked > h.Options.MaxWait {
		return b.tooLong(err, asked)
	}
	tell := event.Event{Host: h.Name, Name: b.call.Name, Wait: d, Err: err}
	if fault.Is(err, fault.Throttled) {
		until := time.Now().Add(d)
		if h.Pause.Until(until) {
			waiting := tell
			waiting.Kind, waiting.Text = event.Waiting, h.Name+" asks to wait until "+limit.Clock(until)
			b.call.Observe.Tell(waiting)
		}
	}
	tell.Kind = event.Retried
	b.call.Observe.Tell(tell)
	if limit.Sleep(ctx, d) != nil {
		return b.call.Stopped(ctx, err)
	}
	return nil
}

// tooLong returns the error of a wait d that is longer than MaxWait. err asks for it.
func (b *Budget) tooLong(err error, d time.Duration) error {
	return &fault.Fault{
		Kind:       fault.Throttled,
		Op:         b.call.Op,
		Name:       b.call.Name,
		RetryAfter: d,
		Hint:       "try again after that time, or raise --max-wait",
		Err: fmt.Errorf("the registry asks to wait until %s, which is longer than --max-wait %v allows: %w",
			limit.Clock(time.Now().Add(d)), b.host.Options.MaxWait, reason.CauseOf(err)),
	}
}

func retryAfter(err error) time.Duration {
	if f, ok := err.(*fault.Fault); ok { //nolint:errorlint // the outermost one is about this request
		return f.RetryAfter
	}
	return 0
}

// backoff returns the wait after n failed attempts: exponential from 0.5 s to 60 s, with full
// jitter.
func backoff(n int) time.Duration {
	top := min(500*time.Millisecond<<min(n, 10), time.Minute)
	return time.Millisecond + rand.N(top) //nolint:gosec // spreads the load; needs no secure randomness
}
