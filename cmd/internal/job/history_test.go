//go:build unix

package job_test

import (
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
)

// Health checks and metrics ask every few seconds.
func TestStatsDoNotReadTheHistory(t *testing.T) {
	databases.Both(t, func(t *testing.T, url string) {
		t.Helper()
		db := openDB(t, url)
		q := open(t, url, job.Config{DB: db})
		n := 1_000_000
		if testing.Short() {
			n = 50_000
		}
		history(t, db, n)
		submit(t, q, job.Submission{})
		fastest := time.Hour
		for range 5 {
			began := time.Now()
			s, err := q.Stats(t.Context())
			fastest = min(fastest, time.Since(began))
			if err != nil || s.Jobs[job.Queued] != 1 || s.Oldest <= 0 {
				t.Fatal(s, err)
			}
		}
		t.Log(n, "ended jobs:", fastest)
		if fastest > 20*time.Millisecond {
			t.Errorf("with %d ended jobs, stats take %s", n, fastest)
		}
	})
}
