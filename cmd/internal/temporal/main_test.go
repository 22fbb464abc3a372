//go:build unix

package temporal_test

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/temporal"
	"github.com/drayage/dray/internal/testbed/database"
	bed "github.com/drayage/dray/internal/testbed/temporal"
)

var (
	databases database.Databases
	servers   bed.Servers
)

func TestMain(m *testing.M) {
	if url := os.Getenv("DRAY_TEMPORAL_ACT"); url != "" {
		if err := act(url, os.Getenv("DRAY_TEMPORAL_DB")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// These tests wait most of their time, so more of them than there are cores run at the same time.
	flag.Parse()
	if n := flag.Lookup("test.parallel"); n.Value.String() == n.DefValue {
		if err := flag.Set(n.Name, "6"); err != nil {
			panic(err)
		}
	}
	os.Exit(databases.Main(m, servers.End))
}

// place is where the processes of one cluster meet.
type place struct {
	db, temporal string
	lease        time.Duration // default: so long that no worker is lost on a slow machine
}

func here(tb testing.TB) place {
	tb.Helper()
	return place{db: databases.Postgres(tb), temporal: servers.Namespace(tb)}
}

// losing is here, for a test of the loss of workers.
func losing(tb testing.TB) place {
	tb.Helper()
	p := here(tb)
	p.lease = lease
	return p
}

// open opens a queue with an engine, as one process of a cluster does.
func open(tb testing.TB, p place, change ...func(*temporal.Config)) *job.Queue {
	tb.Helper()
	q, _ := openBoth(tb, p, change...)
	return q
}

func openBoth(tb testing.TB, p place, change ...func(*temporal.Config)) (*job.Queue, *temporal.Engine) {
	tb.Helper()
	db, err := store.Open(tb.Context(), p.db)
	must(tb, err)
	q, e, err := join(tb.Context(), db, p, change...)
	must(tb, err)
	tb.Cleanup(func() {
		if err := q.Close(); err != nil {
			tb.Error(err)
		}
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return q, e
}

func join(
	ctx context.Context, db *store.DB, p place, change ...func(*temporal.Config),
) (q *job.Queue, e *temporal.Engine, err error) {
	q, err = job.Open(ctx, job.Config{DB: db, Owner: "test", Grace: time.Second, Engine: func(q *job.Queue) (job.Engine, error) {
		cfg := temporal.Config{URL: p.temporal, Queue: q, Lease: cmp.Or(p.lease, time.Minute)}
		if os.Getenv("DRAY_TEMPORAL_LOG") != "" {
			cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
		}
		for _, c := range change {
			c(&cfg)
		}
		e, err = temporal.Open(cfg)
		return e, err
	}})
	return q, e, err
}

// lease is short, so that tests do not wait long for the loss of a worker.
const lease = 3 * time.Second

// submit submits a job whose request has names that nobody must see.
func submit(tb testing.TB, q *job.Queue, kind string, change ...func(*job.Submission)) job.Job {
	tb.Helper()
	s := job.Submission{Kind: kind, Request: json.RawMessage(`{"source":"registry.example/hunter2"}`)}
	for _, c := range change {
		c(&s)
	}
	return suite.Submit(tb, q, s)
}

func get(tb testing.TB, q *job.Queue, id string) job.Job {
	tb.Helper()
	j, err := q.Get(tb.Context(), id)
	must(tb, err)
	return j
}

// ended waits until a job has ended. Other than suite.Ended it goes on when the database fails, which is what
// some of these tests are about, and it sees at once what another process has done.
func ended(tb testing.TB, q *job.Queue, id string) job.Job {
	tb.Helper()
	return until(tb, q, id, func(j job.Job) bool { return j.State.Ended() })
}

// isDone waits until a job has ended, and expects that it is done, in the attempt with this number if it is
// not 0.
func isDone(tb testing.TB, q *job.Queue, id string, attempt int) {
	tb.Helper()
	if j := ended(tb, q, id); j.State != job.Done || attempt != 0 && j.Attempt != attempt {
		tb.Error(j)
	}
}

func until(tb testing.TB, q *job.Queue, id string, ok func(job.Job) bool) job.Job {
	tb.Helper()
	last := time.Now().Add(patience)
	for {
		j, err := q.Get(tb.Context(), id)
		if err == nil && ok(j) {
			return j
		}
		if time.Now().After(last) {
			tb.Fatalf("%+v %v", j, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// number returns N of a kind such as "parts 12".
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// patience is how long a job of a test may take. Only a long test takes more than seconds.
const patience = 15 * time.Minute
