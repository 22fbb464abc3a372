package backing

import (
	"context"
	"time"
)

// The pauses of an operation that finds too many files open; together they are some 5 s.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 2 * time.Second
)

// patient calls do, and again after a pause while this process has too many files open. What it returns in the end
// counts as an error of a write, because the same request may succeed later.
func patient[T any](ctx context.Context, do func() (T, error)) (T, error) {
	for pause := firstPause; ; pause *= 2 {
		v, err := do()
		if !tooMany(err) {
			return v, err
		}
		if pause > lastPause || !wait(ctx, pause) {
			return v, unwritable(ctx, err)
		}
	}
}

// wait waits for d. It reports false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
