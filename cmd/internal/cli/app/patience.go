package app

import (
	"context"
	"io"
	"time"

	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
)

// Grace is how long a verb may take to return after an interrupt. A person expects the prompt back within a
// second, and the targets are in a valid state at any instant.
const Grace = 800 * time.Millisecond

// Patiently calls f and waits for it, but at most grace after ctx has ended. If f takes longer, Patiently
// returns out.ErrInterrupted while f is still running. The caller must end the process soon.
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
		return none, &fault.Fault{Kind: fault.Canceled, Err: out.ErrInterrupted}
	}
}

// UntilDone returns a reader of in whose Read returns an error when ctx ends, even if in has nothing to read.
// A Read of in that is then still waiting is left behind, with what it may yet read.
func UntilDone(ctx context.Context, in io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		own := make([]byte, len(p)) // a Read that is left behind must not write to p
		n, err := Patiently(ctx, 0, func() (int, error) { return in.Read(own) })
		return copy(p, own[:n]), err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
