//go:build unix

package job_test

import (
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

func TestTheQueuedJobsOfAPrincipalAreLimited(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		q := open(t, url, job.Config{QueuedMost: 3})
		first := submit(t, q, job.Submission{Key: "first"})
		submit(t, q, job.Submission{})
		submit(t, q, job.Submission{})
		more := job.Submission{Kind: "test", Principal: "ann", Key: "more"}
		for range 3 {
			_, _, err := q.Submit(t.Context(), more)
			if !fault.Is(err, fault.Throttled) {
				t.Fatal(err)
			}
		}
		if list, _, err := q.List(t.Context(), job.Filter{}); err != nil || len(list) != 3 {
			t.Errorf("%d jobs, %v", len(list), err)
		}
		submit(t, q, job.Submission{Principal: "bob"})
		// A repeated request for an accepted job succeeds, even if the limit is reached.
		if again := submit(t, q, job.Submission{Key: "first"}); again.ID != first.ID {
			t.Error(again.ID)
		}
		if _, err := q.Cancel(t.Context(), first.ID, nil); err != nil {
			t.Fatal(err)
		}
		for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			_, fresh, err := q.Submit(t.Context(), more)
			if err == nil && fresh {
				break
			}
			if !fault.Is(err, fault.Throttled) || time.Now().After(until) {
				t.Fatal("after a cancel, one more job must be accepted:", fresh, err)
			}
		}
		if _, _, err := q.Submit(t.Context(), job.Submission{Kind: "test", Principal: "ann"}); !fault.Is(err, fault.Throttled) {
			t.Error("the limit is reached again:", err)
		}
	})
}
