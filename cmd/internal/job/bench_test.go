//go:build unix

package job_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
)

// One client submits jobs. Each is durable before the next.
func BenchmarkSubmitOneByOne(b *testing.B) {
	each(b, func(b *testing.B, url string) {
		b.Helper()
		q := open(b, url, job.Config{})
		for b.Loop() {
			submit(b, q, job.Submission{Request: json.RawMessage(`{"source":"docker.io/library/busybox:1"}`)})
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	})
}

func BenchmarkSubmitFrom200Clients(b *testing.B) {
	each(b, func(b *testing.B, url string) {
		b.Helper()
		q := open(b, url, job.Config{})
		b.ResetTimer()
		took := fromClients(b, 200, b.N, func(int) {
			submit(b, q, job.Submission{Request: json.RawMessage(`{"source":"docker.io/library/busybox:1"}`)})
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		quantiles(b, took)
	})
}

// 200 clients submit 100 jobs a second together, while two slots run them.
func BenchmarkSubmit100PerSecond(b *testing.B) {
	each(b, func(b *testing.B, url string) {
		b.Helper()
		q := open(b, url, job.Config{})
		work(b, q, 2, done)
		ticks := make(chan struct{}, 1000)
		go func() {
			t := time.NewTicker(10 * time.Millisecond)
			defer t.Stop()
			for range b.N {
				<-t.C
				ticks <- struct{}{}
			}
		}()
		b.ResetTimer()
		took := fromClients(b, 200, b.N, func(int) {
			submit(b, q, job.Submission{})
		}, ticks)
		quantiles(b, took)
	})
}

// fromClients calls do n times from several goroutines, each time at a tick. It returns how long each
// call took.
func fromClients(b *testing.B, clients, n int, do func(int), ticks ...chan struct{}) []time.Duration {
	b.Helper()
	took := make([]time.Duration, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				for _, t := range ticks {
					<-t
				}
				began := time.Now()
				do(i)
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	return took
}

func quantiles(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// The time from the submission to the start of the runner, on an idle worker.
func BenchmarkIdleSubmitToStart(b *testing.B) {
	each(b, func(b *testing.B, url string) {
		b.Helper()
		q := open(b, url, job.Config{})
		started := make(chan struct{})
		work(b, q, 4, func(context.Context, *job.Run) job.Outcome {
			started <- struct{}{}
			return job.Outcome{State: job.Done}
		})
		var took []time.Duration
		for b.Loop() {
			began := time.Now()
			submit(b, q, job.Submission{})
			<-started
			took = append(took, time.Since(began))
		}
		quantiles(b, took)
	})
}

func BenchmarkJobsThatDoNothing(b *testing.B) {
	each(b, func(b *testing.B, url string) {
		b.Helper()
		q := open(b, url, job.Config{})
		fromClients(b, 50, b.N, func(int) { submit(b, q, job.Submission{}) })
		b.ResetTimer()
		var left sync.WaitGroup
		left.Add(b.N)
		work(b, q, 32, func(context.Context, *job.Run) job.Outcome { left.Done(); return job.Outcome{State: job.Done} })
		left.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	})
}

// history fills a database with ended jobs.
func history(tb testing.TB, db *store.DB, n int) {
	tb.Helper()
	series := `WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < $1) SELECT i FROM s`
	if db.Postgres() {
		series = `SELECT i FROM generate_series(1, $1::bigint) AS s(i)`
	}
	pad := `substr('00000000000000000000' || i, length('00000000000000000000' || i) - 19)`
	if _, err := db.ExecContext(tb.Context(), `INSERT INTO jobs (id, kind, principal, request, source, target, state, attempt, created, claimed, started, ended)
		SELECT '01JAAA' || `+pad+`, 'import', 'p' || (i % 20), '{"source":"docker.io/library/busybox:1","images":["busybox:1"]}', 'docker.io/library/busybox:' || i,
			'registry.example/busybox:' || i, CASE WHEN i % 10 = 0 THEN 'failed' ELSE 'done' END, 1, i AS created, i AS claimed, i AS started, $2 + i FROM (`+series+`) AS series`,
		n, time.Now().UnixMicro()-int64(n)); err != nil {
		tb.Fatal(err)
	}
	if db.Postgres() {
		if _, err := db.DB.ExecContext(tb.Context(), `VACUUM ANALYZE jobs`); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkListPageOf100k(b *testing.B) {
	filters := map[string]job.Filter{
		"newest":    {},
		"principal": {Principal: "p7"},
		"failed":    {States: []job.State{job.Failed}, Kinds: []string{"import"}},
		"text":      {Text: "busybox:77777"},
		"nothing":   {Text: "no such thing"},
		"deep":      {After: fmt.Sprintf("01JAAA%020d", 50_000)},
	}
	each(b, func(b *testing.B, url string) {
		b.Helper()
		db := openDB(b, url)
		q := open(b, url, job.Config{DB: db})
		history(b, db, 100_000)
		for name, f := range filters {
			b.Run(name, func(b *testing.B) {
				var took []time.Duration
				for b.Loop() {
					began := time.Now()
					if _, _, err := q.List(b.Context(), f); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(began))
				}
				quantiles(b, took)
			})
		}
		b.Run("stats", func(b *testing.B) {
			for b.Loop() {
				if _, err := q.Stats(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// A server restarts with a history of 100,000 jobs and one job that was running.
func BenchmarkRestartToFirstDispatch(b *testing.B) {
	each(b, func(b *testing.B, url string) {
		b.Helper()
		func() {
			db, err := store.Open(b.Context(), url)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			open(b, url, job.Config{DB: db})
			history(b, db, 100_000)
		}()
		for b.Loop() {
			db, err := store.Open(b.Context(), url)
			if err != nil {
				b.Fatal(err)
			}
			q := open(b, url, job.Config{DB: db})
			submit(b, q, job.Submission{})
			started := make(chan struct{}, 1)
			stop := work(b, q, 1, func(context.Context, *job.Run) job.Outcome {
				started <- struct{}{}
				return job.Outcome{State: job.Done}
			})
			<-started
			b.StopTimer()
			stop()
			db.Close()
			b.StartTimer()
		}
	})
}

// The cost of a claim with few and many principals, each with six queued jobs, at most 60,000 in all.
func BenchmarkClaim(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(n, " principals"), func(b *testing.B) {
			db := openDB(b, databases.SQLite(b))
			q := open(b, "", job.Config{DB: db})
			if _, err := db.ExecContext(b.Context(), `INSERT INTO jobs (id, kind, principal, request, source, target, state, created)
				WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 60000)
				SELECT '00' || (1000000 + i), 'k', 'p' || (i % $1), '{}', '', '', 'queued', 1 FROM s`, n); err != nil {
				b.Fatal(err)
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			ended := make(chan struct{})
			b.ResetTimer()
			work(b, q, 16, func(context.Context, *job.Run) job.Outcome {
				if left.Add(-1) == 0 {
					close(ended)
				}
				return job.Outcome{State: job.Done}
			})
			<-ended
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
			b.StopTimer()
		})
	}
}
