//go:build unix

package job_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/internal/testbed/database"
)

var databases database.Databases

func TestMain(m *testing.M) {
	if url := os.Getenv("DRAY_JOB_URL"); url != "" {
		if err := act(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(databases.Main(m))
}

func TestTheEmbeddedEngine(t *testing.T) {
	t.Parallel()
	suite.Run(t, suite.Bed{Parallel: true, Open: func(t *testing.T, c job.Config) (*job.Queue, *store.DB) {
		t.Helper()
		c.DB = openDB(t, databases.SQLite(t))
		return open(t, "", c), c.DB
	}})
}

// The rows are the same on PostgreSQL, under an engine that divides jobs.
func TestTheRowsOnPostgreSQL(t *testing.T) {
	t.Parallel()
	suite.Run(t, suite.Bed{Divides: true, Unfair: -1, Parallel: true, Open: func(t *testing.T, c job.Config) (*job.Queue, *store.DB) {
		t.Helper()
		c.DB, c.Engine = openDB(t, databases.Postgres(t)), suite.Divide
		return open(t, "", c), c.DB
	}})
}

// each runs f on a new SQLite file.
func each(b *testing.B, f func(b *testing.B, url string)) {
	b.Helper()
	f(b, databases.SQLite(b))
}

// open opens a queue. Without cfg.DB it opens the database first, which on SQLite only one queue at a
// time can do.
func open(tb testing.TB, url string, cfg job.Config) *job.Queue {
	tb.Helper()
	if cfg.DB == nil {
		cfg.DB = openDB(tb, url)
	}
	if cfg.DB.Postgres() && cfg.Engine == nil {
		cfg.Engine = suite.Divide
	}
	q, err := job.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

func openDB(tb testing.TB, url string) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

func submit(tb testing.TB, q *job.Queue, s job.Submission) job.Job {
	tb.Helper()
	return suite.Submit(tb, q, s)
}

func work(tb testing.TB, q *job.Queue, slots int, run suite.Func) (stop func()) {
	tb.Helper()
	return suite.Work(tb, q, slots, run)
}

func ended(tb testing.TB, q *job.Queue, id string) job.Job {
	tb.Helper()
	return suite.Ended(tb, q, id)
}

func get(tb testing.TB, q *job.Queue, id string) job.Job {
	tb.Helper()
	j, err := q.Get(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	return j
}

func done(context.Context, *job.Run) job.Outcome { return job.Outcome{State: job.Done} }
