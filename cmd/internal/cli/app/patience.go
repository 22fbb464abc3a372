package app

import (
	"context"
	"errors"
	"time"

	"github.com/drayage/dray/fault"
)

// Grace is how long a verb may take to return after it was interrupted. A person expects the
// prompt back within a second; the content at the targets is safe at any instant.
const Grace = 800 * time.Millisecond

// ErrLate says that a verb had not returned when its grace was over.
var ErrLate = errors.New("interrupted")

// Patiently calls f and waits for it, but not longer than grace after ctx ended. Where f is late it
// is left behind: the process ends next.
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
