package job

import (
	"context"
	"time"
)

// Topics of notifications, in addition to those of package live.
const (
	topicQueued = "queued" // a job can be claimed
	topicCancel = "cancel" // a cancel was requested for the job with the ID in the payload
)

const poll = time.Second // notifications may be lost, so changes are also looked for at this interval

// pause waits for d. It reports false if ctx ends before that.
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
