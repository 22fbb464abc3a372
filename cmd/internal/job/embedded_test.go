//go:build unix

package job_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

func count(t *testing.T, db *store.DB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill queues n jobs of one principal with one statement.
func fill(t *testing.T, db *store.DB, principal string, n int) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), `INSERT INTO jobs (id, kind, principal, request, source, target, state, created)
		WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < $2)
		SELECT '00' || (1000000 + i), 'k', $1, '{}', '', '', 'queued', 1 FROM s`, principal, n); err != nil {
		t.Fatal(err)
	}
}

func TestTenThousandJobsOfOneDoNotDelayTheFirstOfAnother(t *testing.T) {
	url := databases.SQLite(t)
	db := openDB(t, url)
	q := open(t, url, job.Config{DB: db})
	n := 10_000
	if racing { // under the race detector, filling SQLite takes 15 seconds
		n = 2_000
	}
	fill(t, db, "ann", n)
	claimed := make(chan string)
	next := make(chan struct{})
	work(t, q, 2, func(_ context.Context, r *job.Run) job.Outcome {
		claimed <- r.Job.Principal
		<-next
		return job.Outcome{State: job.Done}
	})
	defer close(next)
	for range 2 {
		if who := <-claimed; who != "ann" {
			t.Error(who)
		}
	}
	for range 3 {
		submit(t, q, job.Submission{Principal: "bob"})
		submit(t, q, job.Submission{Principal: "cyd"})
	}
	order := ""
	for range 9 {
		next <- struct{}{}
		order += (<-claimed)[:1]
	}
	// The other principals get the next two slots, and after that the principals take turns.
	if first := order[:2]; first != "bc" && first != "cb" || strings.Count(order, "b") != 3 || strings.Count(order, "c") != 3 {
		t.Error(order)
	}
}

func TestHistoryIsBoundedByAgeAndByNumber(t *testing.T) {
	url := databases.SQLite(t)
	var ahead atomic.Int64
	db := openDB(t, url)
	q := open(t, url, job.Config{DB: db, KeepMost: 700, Keep: 24 * time.Hour, Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	history(t, db, 1500)
	fill(t, db, "ann", 3)
	if _, err := db.ExecContext(t.Context(), `INSERT INTO job_items (job, seq, data) SELECT id, 1, '{}' FROM jobs`); err != nil {
		t.Fatal(err)
	}
	must(t, q.Clean(t.Context()))
	must(t, q.Clean(t.Context()))
	if n, items := count(t, db, `SELECT count(*) FROM jobs WHERE ended > 0`), count(t, db, `SELECT count(*) FROM job_items`); n != 700 || items != 703 {
		t.Error(n, items)
	}
	if n := count(t, db, `SELECT count(*) FROM jobs WHERE source LIKE '%:1500'`); n != 1 {
		t.Error("the newest job was deleted")
	}
	ahead.Store(int64(25 * time.Hour))
	must(t, q.Clean(t.Context()))
	if n := count(t, db, `SELECT count(*) FROM jobs`); n != 3 {
		t.Error(n, "jobs are left; queued jobs must not be deleted")
	}
}

// This is a test of what BenchmarkRestartToFirstDispatch measures: neither a page of a list nor a restart
// reads the history.
func TestARestartWithALongHistoryResumesTheRunningJob(t *testing.T) {
	url := databases.SQLite(t)
	db := openDB(t, url)
	q := open(t, url, job.Config{DB: db, Grace: time.Millisecond})
	history(t, db, 5000)
	j := submit(t, q, job.Submission{})
	// The state that a killed process leaves.
	if _, err := db.ExecContext(t.Context(), `UPDATE jobs SET state = 'running', attempt = 1, fence = 1, owner = 'dead' WHERE id = $1`, j.ID); err != nil {
		t.Fatal(err)
	}
	must(t, db.Close())
	q = open(t, url, job.Config{})
	work(t, q, 1, done)
	if j := ended(t, q, j.ID); j.State != job.Done || j.Attempt != 2 || j.Lost != 1 {
		t.Error(j)
	}
	page, next, err := q.List(t.Context(), job.Filter{Limit: 2})
	if err != nil || len(page) != 2 || next == "" || page[0].ID != j.ID {
		t.Error(page, next, err)
	}
}

// crash is what a server leaves that is killed while it runs the given jobs, and starts again.
func crash(t *testing.T, url string, running ...string) {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	must(t, err)
	defer db.Close()
	for _, id := range running {
		if _, err := db.ExecContext(t.Context(), `UPDATE jobs SET state = 'running', attempt = attempt + 1, fence = 1, owner = 'dead' WHERE id = $1`, id); err != nil {
			t.Fatal(err)
		}
	}
	_, err = job.Open(t.Context(), job.Config{DB: db})
	must(t, err)
}

// prepare submits n jobs and closes the database.
func prepare(t *testing.T, url string, n int) (ids []string) {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	must(t, err)
	defer db.Close()
	q, err := job.Open(t.Context(), job.Config{DB: db})
	must(t, err)
	for range n {
		ids = append(ids, submit(t, q, job.Submission{}).ID)
	}
	return ids
}

// Only a job that was alone three times when its process died can be what kills it. Others are innocent.
func TestAJobThatKillsItsProcessAloneFailsAndInnocentOnesDoNot(t *testing.T) {
	url := databases.SQLite(t)
	ids := prepare(t, url, 3)
	killer, innocent, asked := ids[0], ids[1], ids[2]
	for range 20 {
		crash(t, url, killer, innocent)
	}
	for range 2 {
		crash(t, url, killer)
	}
	db := openDB(t, url)
	q := open(t, url, job.Config{DB: db})
	if j := get(t, q, killer); j.State != job.Queued || j.Lost != 22 {
		t.Error(j)
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE jobs SET cancel_requested = 1 WHERE id = $1`, asked); err != nil {
		t.Fatal(err)
	}
	must(t, db.Close())
	crash(t, url, asked)
	crash(t, url, killer)
	q = open(t, url, job.Config{})
	j := get(t, q, killer)
	if j.State != job.Failed || j.Lost != 23 || !strings.Contains(j.Failure.Text, "3 workers disappeared while they ran only this job") || j.Failure.Hint == "" {
		t.Error(j, j.Failure)
	}
	lines, err := q.Log(t.Context(), killer, 0, 0)
	if err != nil || len(lines) != 23 || !strings.HasSuffix(lines[22].Text, "not tried again") || !strings.HasSuffix(lines[21].Text, "is tried again") {
		t.Error(lines, err)
	}
	if j := get(t, q, asked); j.State != job.Canceled {
		t.Error(j)
	}
	work(t, q, 3, done)
	if j := ended(t, q, innocent); j.State != job.Done || j.Lost != 20 {
		t.Error(j)
	}
}

// A job that was lost three times runs alone, so that the next crash tells whether it is the cause. The
// others wait for it, and it waits for those that run.
func TestAJobThatWasLostOftenRunsAlone(t *testing.T) {
	url := databases.SQLite(t)
	ids := prepare(t, url, 5)
	for range 3 {
		crash(t, url, ids[1], ids[3])
	}
	q := open(t, url, job.Config{})
	var running, most atomic.Int64
	work(t, q, 4, func(_ context.Context, r *job.Run) job.Outcome {
		n := running.Add(1)
		if r.Job.Lost > 0 && n != 1 {
			t.Error("not alone when it began")
		}
		time.Sleep(50 * time.Millisecond)
		if n := running.Load(); r.Job.Lost > 0 && n != 1 {
			t.Error("not alone when it ended")
		} else {
			most.Store(max(most.Load(), n))
		}
		running.Add(-1)
		return job.Outcome{State: job.Done}
	})
	for _, id := range ids {
		if j := ended(t, q, id); j.State != job.Done {
			t.Error(j)
		}
	}
}

// The clock of the machine is set while jobs wait and schedules are due.
func TestWaitsAndSchedulesSurviveAClockThatIsSet(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{-48 * time.Hour, 48 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			q := open(t, databases.SQLite(t), job.Config{Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
			work(t, q, 1, func(_ context.Context, r *job.Run) job.Outcome {
				if r.Job.Attempt == 1 {
					return job.Outcome{State: job.Waiting, After: 2 * time.Second}
				}
				return job.Outcome{State: job.Done}
			})
			s, err := q.PutSchedule(t.Context(), job.Schedule{Name: "n", Kind: "k", Principal: "p", Cron: "* * * * *"}, nil)
			must(t, err)
			began := time.Now()
			j := submit(t, q, job.Submission{})
			for get(t, q, j.ID).State != job.Waiting {
				time.Sleep(time.Millisecond)
			}
			ahead.Store(int64(jump))
			j = ended(t, q, j.ID)
			if took := time.Since(began); j.State != job.Done || took < 2*time.Second || took > 10*time.Second {
				t.Error(j, took)
			}
			// The schedule is due within a minute of the clock as it is now.
			for until := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				s, err = q.Schedule(t.Context(), s.ID)
				must(t, err)
				if left := s.NextDue.Sub(time.Now().Add(jump)); left > -time.Second && left <= time.Minute {
					break
				}
				if time.Now().After(until) {
					t.Fatalf("next due %s, now %s", s.NextDue, time.Now().Add(jump).UTC())
				}
			}
		})
	}
}

// A job that waits when its server is stopped, and the clock is set back meanwhile, does not wait longer.
func TestAWaitDoesNotGrowByAClockThatIsSetWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	url := databases.SQLite(t)
	db := openDB(t, url)
	q := open(t, url, job.Config{DB: db})
	stop := work(t, q, 1, func(context.Context, *job.Run) job.Outcome {
		return job.Outcome{State: job.Waiting, After: time.Second}
	})
	j := submit(t, q, job.Submission{})
	for get(t, q, j.ID).State != job.Waiting {
		time.Sleep(time.Millisecond)
	}
	stop()
	must(t, db.Close())
	q = open(t, url, job.Config{Clock: func() time.Time { return time.Now().Add(-48 * time.Hour) }})
	work(t, q, 1, done)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for e, err := range q.Watch(ctx, j.ID, 0) {
		must(t, err)
		if e.Kind == "ended" {
			return
		}
	}
}

// A damaged file gives an error that says so, when the server starts or when the page is read.
func TestADamagedFileIsSaidToBeDamaged(t *testing.T) {
	for name, damage := range map[string]func(b []byte){
		"header": func(b []byte) { copy(b, "this is no database, or no longer") },
		"pages":  func(b []byte) { clear(b[4096:]) },
	} {
		t.Run(name, func(t *testing.T) {
			url := databases.SQLite(t)
			prepare(t, url, 50)
			path := strings.TrimPrefix(url, "sqlite:")
			b, err := os.ReadFile(path)
			must(t, err)
			damage(b)
			must(t, os.WriteFile(path, b, 0o600))
			db, err := store.Open(t.Context(), url)
			if err == nil {
				defer db.Close()
				var q *job.Queue
				if q, err = job.Open(t.Context(), job.Config{DB: db}); err == nil {
					_, _, err = q.List(t.Context(), job.Filter{})
				}
			}
			if err == nil || !strings.Contains(err.Error(), path) || fault.Is(err, fault.NotFound) {
				t.Fatal(err)
			}
			t.Log(err, fault.HintOf(err))
		})
	}
}

// A transaction whose answer is lost is repeated, and leaves each item once.
func TestABatchThatIsWrittenTwiceIsKeptOnce(t *testing.T) {
	db := openDB(t, databases.SQLite(t))
	q := open(t, "", job.Config{DB: db})
	work(t, q, 1, func(ctx context.Context, r *job.Run) job.Outcome {
		for i := range 3 {
			must(t, r.Item(ctx, json.RawMessage(strconv.Itoa(i))))
		}
		must(t, r.FlushTwice(ctx))
		must(t, r.Item(ctx, json.RawMessage("3")))
		return job.Outcome{State: job.Done}
	})
	j := ended(t, q, submit(t, q, job.Submission{}).ID)
	items, err := q.Items(t.Context(), j.ID, 0, 0)
	must(t, err)
	if len(items) != 4 || string(items[3].Data) != "3" {
		t.Error(items)
	}
}

// An attempt that another one follows changes nothing more, even in the same process.
func TestAnAttemptThatLostItsJobChangesNothing(t *testing.T) {
	t.Parallel()
	db := openDB(t, databases.SQLite(t))
	q := open(t, "", job.Config{DB: db})
	attempts, release := make(chan *job.Run, 2), make(chan struct{})
	work(t, q, 1, func(ctx context.Context, r *job.Run) job.Outcome {
		attempts <- r
		if r.Job.Attempt == 1 {
			<-ctx.Done() // at the next flush
			if !fault.Is(context.Cause(ctx), fault.Moved) {
				t.Error(context.Cause(ctx))
			}
			return job.Outcome{State: job.Failed, Report: json.RawMessage(`"of the first"`)}
		}
		<-release
		must(t, r.Item(ctx, json.RawMessage(`"of the second"`)))
		return job.Outcome{State: job.Done, Report: json.RawMessage(`"of the second"`)}
	})
	j := submit(t, q, job.Submission{})
	first := <-attempts
	must(t, first.Item(t.Context(), json.RawMessage(`"of the first"`)))
	if _, err := db.ExecContext(t.Context(), `UPDATE jobs SET state = 'queued', fence = 0 WHERE id = $1`, j.ID); err != nil {
		t.Fatal(err)
	}
	second := <-attempts
	if second.Job.Attempt != 2 || second.Fence(t.Context()) != nil {
		t.Error(second.Job)
	}
	if err := first.Fence(t.Context()); !fault.Is(err, fault.Moved) {
		t.Error(err)
	}
	ran := false
	if err := first.Tx(t.Context(), func(*sql.Tx) error { ran = true; return nil }); !fault.Is(err, fault.Moved) || ran {
		t.Error(err, ran)
	}
	close(release)
	j = ended(t, q, j.ID)
	report, err := q.Report(t.Context(), j.ID)
	must(t, err)
	items, err := q.Items(t.Context(), j.ID, 0, 0)
	must(t, err)
	if j.State != job.Done || string(report) != `"of the second"` || len(items) != 1 || string(items[0].Data) != `"of the second"` {
		t.Error(j, string(report), items)
	}
}

// The tables of the last release hold their jobs after the migration.
func TestJobsOfAnOlderDrayAreKept(t *testing.T) {
	db := openDB(t, databases.SQLite(t))
	must(t, db.Migrate(t.Context(), "job", job.OldSchema()))
	for _, s := range []string{
		`INSERT INTO jobs (id, kind, principal, request, source, target, state, attempt, owner, lease_until, created, claimed, started)
			VALUES ('01A', 'k', 'ann', '{}', '', '', 'running', 2, 'old', 5, 1, 2, 2)`,
		`INSERT INTO jobs (id, kind, principal, request, source, target, state, attempt, created, ended)
			VALUES ('01B', 'k', 'ann', '{}', '', '', 'done', 2, 1, 9)`,
		`INSERT INTO job_items (job, seq, data) VALUES ('01B', 4294967297, '"first"'), ('01B', 8589934593, '"second"')`,
		`INSERT INTO job_log (job, seq, at, text) VALUES ('01A', 8589934593, 1, 'before')`,
	} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	q := open(t, "", job.Config{DB: db})
	work(t, q, 1, func(_ context.Context, r *job.Run) job.Outcome {
		r.Log("after")
		return job.Outcome{State: job.Done}
	})
	if j := ended(t, q, "01A"); j.State != job.Done || j.Attempt != 3 || j.Lost != 1 {
		t.Error(j)
	}
	lines, err := q.Log(t.Context(), "01A", 0, 0)
	if err != nil || len(lines) != 3 || lines[0].Text != "before" || lines[2].Text != "after" {
		t.Error(lines, err)
	}
	items, err := q.Items(t.Context(), "01B", 0, 0)
	if err != nil || len(items) != 1 || string(items[0].Data) != `"second"` {
		t.Error(items, err)
	}
}

func TestAProcessThatCannotWriteIsNotReadyAndSaysSo(t *testing.T) {
	t.Parallel()
	db := openDB(t, databases.SQLite(t))
	var log bytes.Buffer // the log handler writes one line at a time, and it is read after Work
	q := open(t, "", job.Config{DB: db, Log: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- q.Work(ctx, 0, nil) }()
	ready := func(want bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); (q.Ready(t.Context()) == nil) != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(q.Ready(t.Context()))
			}
		}
	}
	ready(true)
	for _, step := range []struct {
		do    string
		ready bool
	}{
		{`CREATE TRIGGER broken BEFORE UPDATE ON workers BEGIN SELECT RAISE(ABORT, 'broken'); END`, false},
		{`DROP TRIGGER broken`, true},
	} {
		if _, err := db.ExecContext(t.Context(), step.do); err != nil {
			t.Fatal(err)
		}
		ready(step.ready)
	}
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
	for _, want := range []string{"cannot say that this process is alive", "can say that this process is alive again"} {
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%q is in the log %d times: %s", want, n, log.String())
		}
	}
}

// told sends the lines of a log, and drops those that nobody waits for.
type told chan string

func (c told) Write(p []byte) (int, error) {
	select {
	case c <- string(p):
	default:
	}
	return len(p), nil
}

// The disk fails while the engine queues a job again whose attempt it has lost: the job is running in the database, and
// nobody runs it. The engine does that again when the disk works.
func TestAJobThatNobodyRunsIsQueuedAgainAfterTheCommitOfThatHasFailed(t *testing.T) {
	url := databases.SQLite(t)
	db := openDB(t, url)
	lines := make(told, 1)
	q := open(t, url, job.Config{DB: db, Log: slog.New(slog.NewTextHandler(lines, nil))})
	// A key that is missing when a transaction is committed makes the commit fail.
	for _, s := range []string{
		`CREATE TABLE disk (works INTEGER PRIMARY KEY)`,
		`CREATE TABLE writes (disk INTEGER REFERENCES disk (works) DEFERRABLE INITIALLY DEFERRED)`,
		`CREATE TRIGGER written AFTER UPDATE OF state ON jobs WHEN NEW.state = 'queued' BEGIN INSERT INTO writes VALUES (1); END`,
	} {
		_, err := db.ExecContext(t.Context(), s)
		must(t, err)
	}
	fill(t, db, "ann", 1)
	_, err := db.ExecContext(t.Context(), `UPDATE jobs SET state = 'running', attempt = 1, fence = 1`)
	must(t, err)
	ran := make(chan string, 1)
	work(t, q, 1, func(_ context.Context, r *job.Run) job.Outcome {
		ran <- r.Job.Principal
		return job.Outcome{State: job.Done}
	})
	for line := range lines {
		if strings.Contains(line, "cannot begin jobs") {
			break
		}
	}
	_, err = db.ExecContext(t.Context(), `INSERT INTO disk VALUES (1)`)
	must(t, err)
	if got := <-ran; got != "ann" {
		t.Error(got)
	}
}
