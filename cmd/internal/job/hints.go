package job

import (
	"context"
	"time"
)

// Topics of notifications, beside those of package live.
const (
	saidQueued = "queued" // there is a job to claim
	saidCancel = "cancel" // the job of this id is to be canceled
)

const poll = time.Second // between looks for what a notification would have told

// pause reports whether ctx goes on after d.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
