//go:build unix

package temporal_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/temporal"
)

func TestTheEngine(t *testing.T) {
	t.Parallel()
	var places sync.Map // *store.DB to place
	beside := func(t *testing.T, db *store.DB, c job.Config) *job.Queue {
		t.Helper()
		p, _ := places.Load(db)
		c.DB, c.Engine = db, func(q *job.Queue) (job.Engine, error) {
			return temporal.Open(temporal.Config{URL: p.(place).temporal, Queue: q, Lease: time.Minute, Pools: c.Pools})
		}
		q, err := job.Open(t.Context(), c)
		must(t, err)
		t.Cleanup(func() {
			if err := q.Close(); err != nil {
				t.Error(err)
			}
		})
		return q
	}
	suite.Run(t, suite.Bed{Divides: true, Unfair: 20, Parallel: true, Brief: os.Getenv("DRAY_SOAK") == "", Beside: beside,
		Open: func(t *testing.T, c job.Config) (*job.Queue, *store.DB) {
			t.Helper()
			p := here(t)
			db, err := store.Open(t.Context(), p.db)
			must(t, err)
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			places.Store(db, p)
			return beside(t, db, c), db
		}})
}
