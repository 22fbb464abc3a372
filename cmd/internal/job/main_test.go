//go:build unix

package job_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/internal/testbed/database"
)

var databases database.Databases

func TestMain(m *testing.M) {
	if role := os.Getenv("DRAY_JOB_ROLE"); role != "" {
		if err := act(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(databases.Main(m))
}

// both runs f on the embedded engine, and on an engine that divides, with PostgreSQL.
func both(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { f(t, databases.SQLite(t)) })
	t.Run("divider", func(t *testing.T) { f(t, databases.Postgres(t)) })
}

func bothBench(b *testing.B, f func(b *testing.B, url string)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { f(b, databases.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { f(b, databases.Postgres(b)) })
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
	if s.Kind == "" {
		s.Kind = "test"
	}
	if s.Principal == "" {
		s.Principal = "ann"
	}
	if s.Request == nil {
		s.Request = json.RawMessage(`{}`)
	}
	j, _, err := q.Submit(tb.Context(), s)
	if err != nil {
		tb.Fatal(err)
	}
	return j
}

// work runs q.Work until the returned function is called or the test ends.
func work(tb testing.TB, q *job.Queue, slots int, run suite.Func) (stop func()) {
	tb.Helper()
	ctx, done := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- q.Work(ctx, slots, run) }()
	stop = sync.OnceFunc(func() {
		done()
		if err := <-over; err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(stop)
	return stop
}

// ended watches a job until it has ended and returns it.
func ended(tb testing.TB, q *job.Queue, id string) job.Job {
	tb.Helper()
	for e, err := range q.Watch(tb.Context(), id, 0) {
		if err != nil {
			tb.Fatal(err)
		}
		if e.Kind == "ended" {
			var j job.Job
			if err := json.Unmarshal(e.Data, &j); err != nil {
				tb.Fatal(err)
			}
			return j
		}
	}
	tb.Fatal("the watch ended before the job")
	return job.Job{}
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
