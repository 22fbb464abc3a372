package app

import (
	"context"
	"errors"
	"time"

	"github.com/drayage/dray/fault"
)

// Grace is how long a verb may take to return after an interrupt. A person expects the prompt back within a
// second, and the targets are in a valid state at any instant.
const Grace = 800 * time.Millisecond

// ErrLate is the error of a verb that did not return within Grace.
var ErrLate = errors.New("interrupted")

// Patiently calls f and waits for it, but at most grace after ctx has ended. If f takes longer, Patiently
// returns ErrLate while f is still running. The caller must end the process soon.
func Patiently[T any](ctx context.Context, grace time.Duration, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(grace):
		var none T
		return none, &fault.Fault{Kind: fault.Canceled, Err: ErrLate}
	}
}
