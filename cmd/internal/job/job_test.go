//go:build unix

package job_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// reversed is a Sealer for tests. It binds a secret to its name and inverts its bytes.
type reversed struct{}

func (reversed) Seal(plain []byte, name string) ([]byte, error) {
	return append([]byte(name+"\x00"), flip(plain)...), nil
}

func (reversed) Open(sealed []byte, name string) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, []byte(name+"\x00"))
	if !ok {
		return nil, errors.New("sealed under another name")
	}
	return flip(rest), nil
}

func flip(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[len(b)-1-i] = b[i] ^ 0xff
	}
	return out
}

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

func TestAJobRunsAndItsReportItemsAndLogCanBeRead(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		db := openDB(t, url)
		q := open(t, url, job.Config{DB: db, Owner: "host", Seal: reversed{}})
		sub := job.Submission{Kind: "import", Request: json.RawMessage(`{"a": 1}`), Source: "s", Target: "t", Parent: "p", Secret: []byte("hunter2")}
		sub.Also = func(ctx context.Context, tx *sql.Tx, j job.Job) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO job_log (job, seq, at, text) VALUES ($1, 1, 1, 'accepted')`, j.ID)
			return err
		}
		j := submit(t, q, sub)
		if j.State != job.Queued || j.Attempt != 0 || !j.Started.IsZero() {
			t.Error(j)
		}
		if n := count(t, db, `SELECT count(*) FROM job_secrets`); n != 1 {
			t.Error(n, "secrets")
		}
		work(t, q, 3, func(ctx context.Context, r *job.Run) job.Outcome {
			secret, err := r.Secret(ctx)
			if err != nil || string(secret) != "hunter2" || r.Job.State != job.Running || r.Fence(ctx) != nil {
				t.Error(string(secret), err, r.Job)
			}
			r.Log("hello")
			r.Progress(json.RawMessage(`{"bytes":7}`))
			for i := range 600 {
				if err := r.Item(ctx, json.RawMessage(fmt.Sprintf(`{"i":%d}`, i))); err != nil {
					t.Error(err)
				}
			}
			return job.Outcome{State: job.Partly, Report: json.RawMessage(`{"ok":1}`), Failure: job.FailureOf(&fault.Fault{Kind: fault.Denied, Op: "put", Hint: "ask"})}
		})
		j = ended(t, q, j.ID)
		if j.State != job.Partly || j.Attempt != 1 || !strings.HasPrefix(j.Owner, "host/") || j.Failure.Kind != fault.Denied || j.Failure.Hint != "ask" ||
			string(j.Progress) != `{"bytes":7}` || j.Started.Before(j.Created) || j.Ended.Before(j.Started) || string(get(t, q, j.ID).Request) != `{"a": 1}` || j.Parent != "p" {
			t.Errorf("%+v %+v", j, j.Failure)
		}
		if n := count(t, db, `SELECT count(*) FROM job_secrets`); n != 0 {
			t.Error("the secret was not wiped")
		}
		report, err := q.Report(t.Context(), j.ID)
		if err != nil || string(report) != `{"ok":1}` {
			t.Error(string(report), err)
		}
		var all []job.Item
		for after := int64(0); ; after = all[len(all)-1].Seq {
			page, err := q.Items(t.Context(), j.ID, after, 250)
			must(t, err)
			if all = append(all, page...); len(page) < 250 {
				break
			}
		}
		if len(all) != 600 || string(all[0].Data) != `{"i":0}` || string(all[599].Data) != `{"i":599}` {
			t.Error(len(all), "items")
		}
		lines, err := q.Log(t.Context(), j.ID, 0, 0)
		if err != nil || len(lines) != 2 || lines[0].Text != "accepted" || lines[1].Text != "hello" {
			t.Error(lines, err)
		}
		if _, err := q.Get(t.Context(), "nothing"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

func TestASubmissionThatFailsLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		db := openDB(t, url)
		q := open(t, url, job.Config{DB: db})
		no := errors.New("no audit, no job")
		for name, s := range map[string]job.Submission{
			"also":   {Kind: "k", Principal: "p", Key: "1", Also: func(context.Context, *sql.Tx, job.Job) error { return no }},
			"secret": {Kind: "k", Principal: "p", Key: "2", Secret: []byte("x")}, // there is no Sealer
			"kind":   {Principal: "p"},
		} {
			if _, _, err := q.Submit(t.Context(), s); err == nil {
				t.Error(name)
			}
		}
		if n := count(t, db, `SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM job_keys)`); n != 0 {
			t.Error(n, "rows")
		}
	})
}

func TestAKeyStandsForOneJobForADay(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		var ahead atomic.Int64
		q := open(t, url, job.Config{Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
		ids, fresh := sync.Map{}, atomic.Int64{}
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				body := []string{`{"a":1}`, "{ \"a\":\t1 }"}[i%2] // white space makes no difference
				j, isNew, err := q.Submit(t.Context(), job.Submission{Kind: "k", Principal: "ann", Request: json.RawMessage(body), Key: "key", Also: func(context.Context, *sql.Tx, job.Job) error { return nil }})
				if err != nil {
					t.Error(err)
				}
				if isNew {
					fresh.Add(1)
				}
				ids.Store(j.ID, true)
			})
		}
		wg.Wait()
		n := 0
		ids.Range(func(any, any) bool { n++; return true })
		if n != 1 || fresh.Load() != 1 {
			t.Error(n, "jobs,", fresh.Load(), "fresh")
		}
		same := job.Submission{Kind: "k", Principal: "ann", Request: json.RawMessage(`{"a":1}`), Key: "key"}
		other := same
		other.Request = json.RawMessage(`{"a":2}`)
		if _, _, err := q.Submit(t.Context(), other); !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
		other.Principal = "bob"
		if _, isNew, err := q.Submit(t.Context(), other); err != nil || !isNew {
			t.Error(isNew, err)
		}
		ahead.Store(int64(25 * time.Hour))
		if _, isNew, err := q.Submit(t.Context(), same); err != nil || !isNew {
			t.Error("a day later:", isNew, err)
		}
	})
}

func TestAQueuedJobIsCanceledAtOnceAndNeverRuns(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		db := openDB(t, url)
		q := open(t, url, job.Config{DB: db, Seal: reversed{}})
		j := submit(t, q, job.Submission{Secret: []byte("x")})
		also := 0
		for range 2 { // the second call must change nothing
			c, err := q.Cancel(t.Context(), j.ID, func(*sql.Tx) error { also++; return nil })
			if err != nil || c.State != job.Canceled || c.Ended.IsZero() {
				t.Error(c, err)
			}
		}
		if also != 1 {
			t.Error(also)
		}
		next := submit(t, q, job.Submission{})
		work(t, q, 1, func(_ context.Context, r *job.Run) job.Outcome {
			if r.Job.ID == j.ID {
				t.Error("the canceled job ran")
			}
			return job.Outcome{State: job.Done}
		})
		ended(t, q, next.ID)
		if j := ended(t, q, j.ID); j.State != job.Canceled || j.Attempt != 0 || count(t, db, `SELECT count(*) FROM job_secrets`) != 0 {
			t.Error(j)
		}
		if _, err := q.Cancel(t.Context(), "nothing", nil); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

func TestARunningJobIsCanceled(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		db := openDB(t, url)
		q := open(t, url, job.Config{DB: db})
		running := make(chan string, 4)
		work(t, q, 4, func(ctx context.Context, r *job.Run) job.Outcome {
			running <- r.Job.ID
			<-ctx.Done()
			if err := r.Fence(context.WithoutCancel(ctx)); !fault.Is(err, fault.Canceled) || !r.CancelRequested() || !fault.Is(context.Cause(ctx), fault.Canceled) {
				t.Error(err, context.Cause(ctx))
			}
			r.Log("it stops")
			return job.Outcome{State: job.Failed, Report: json.RawMessage(`{}`), Failure: job.FailureOf(ctx.Err())}
		})
		told, second := submit(t, q, job.Submission{}), submit(t, q, job.Submission{})
		<-running
		<-running
		if c, err := q.Cancel(t.Context(), told.ID, nil); err != nil || c.State != job.Running || !c.CancelRequested {
			t.Error(c, err)
		}
		if _, err := q.Cancel(t.Context(), second.ID, nil); err != nil {
			t.Fatal(err)
		}
		for _, j := range []job.Job{told, second} {
			j = ended(t, q, j.ID)
			lines, err := q.Log(t.Context(), j.ID, 0, 0)
			if j.State != job.Canceled || err != nil || len(lines) != 1 {
				t.Error(j, lines, err)
			}
		}
	})
}

func TestAStoppedWorkerQueuesItsJobsAgain(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		q := open(t, url, job.Config{Grace: time.Millisecond})
		started := make(chan struct{}, 2)
		leave := make(chan struct{})
		defer close(leave)
		stop := work(t, q, 2, func(ctx context.Context, r *job.Run) job.Outcome {
			started <- struct{}{}
			<-ctx.Done()
			if r.Job.Source == "deaf" {
				<-leave
			}
			return job.Outcome{State: job.Failed, Failure: job.FailureOf(context.Cause(ctx))}
		})
		list := []job.Job{submit(t, q, job.Submission{}), submit(t, q, job.Submission{Source: "deaf"})}
		<-started
		<-started
		stop()
		for _, j := range list {
			if j := get(t, q, j.ID); j.State != job.Queued || j.Lost != 0 {
				t.Error(j)
			}
		}
		work(t, q, 2, done)
		for _, j := range list {
			if j := ended(t, q, j.ID); j.State != job.Done || j.Attempt != 2 {
				t.Error(j)
			}
		}
	})
}

func TestAJobThatEndsWithinTheGraceIsNotRunAgain(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		q := open(t, url, job.Config{Grace: time.Hour})
		started, finish := make(chan struct{}), make(chan struct{})
		stop := work(t, q, 1, func(ctx context.Context, r *job.Run) job.Outcome {
			close(started)
			<-finish
			return job.Outcome{State: job.Done}
		})
		j := submit(t, q, job.Submission{})
		<-started
		over := make(chan struct{})
		go func() { stop(); close(over) }()
		close(finish)
		<-over
		if j := get(t, q, j.ID); j.State != job.Done || j.Attempt != 1 {
			t.Error(j)
		}
	})
}

func TestAJobCanWaitAndContinue(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		db := openDB(t, url)
		q := open(t, url, job.Config{DB: db, Seal: reversed{}})
		work(t, q, 1, func(ctx context.Context, r *job.Run) job.Outcome {
			secret, err := r.Secret(ctx)
			if err != nil || string(secret) != "x" {
				t.Error(secret, err)
			}
			switch {
			case r.Job.Source == "long":
				return job.Outcome{State: job.Waiting, After: time.Hour, Failure: &job.Failure{Kind: fault.Throttled}}
			case r.Job.Attempt == 1:
				return job.Outcome{State: job.Waiting, After: time.Millisecond}
			}
			return job.Outcome{State: job.Done}
		})
		long := submit(t, q, job.Submission{Source: "long", Secret: []byte("x")})
		short := submit(t, q, job.Submission{Secret: []byte("x")})
		if j := ended(t, q, short.ID); j.State != job.Done || j.Attempt != 2 || j.Lost != 0 {
			t.Error(j)
		}
		if j := get(t, q, long.ID); j.State != job.Waiting || j.Failure.Kind != fault.Throttled {
			t.Error(j)
		}
		if j, err := q.Cancel(t.Context(), long.ID, nil); err != nil || j.State != job.Canceled {
			t.Error(j, err)
		}
	})
}

func TestAPanicFailsOneJobAndNotTheOthers(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		q := open(t, url, job.Config{})
		work(t, q, 2, func(_ context.Context, r *job.Run) job.Outcome {
			switch r.Job.Source {
			case "panic":
				panic("oh")
			case "nonsense":
				return job.Outcome{State: "nonsense"}
			case "bad": // PostgreSQL does not accept this text
				return job.Outcome{State: job.Done, Report: json.RawMessage("\"\x00\"")}
			}
			return job.Outcome{State: job.Done}
		})
		for _, source := range []string{"panic", "nonsense"} {
			if j := ended(t, q, submit(t, q, job.Submission{Source: source}).ID); j.State != job.Failed || j.Failure.Kind != fault.Internal {
				t.Error(j)
			}
		}
		ended(t, q, submit(t, q, job.Submission{Source: "bad"}).ID)
		if j := ended(t, q, submit(t, q, job.Submission{}).ID); j.State != job.Done {
			t.Error(j)
		}
	})
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
	both(t, func(t *testing.T, url string) {
		t.Helper()
		db := openDB(t, url)
		q := open(t, url, job.Config{DB: db})
		n := 10_000
		if racing && !db.Postgres() { // under the race detector, filling SQLite takes 15 seconds
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
	})
}

func TestStatsCountsJobsAndTheAgeOfTheOldest(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		q := open(t, url, job.Config{})
		if s, err := q.Stats(t.Context()); err != nil || s.Jobs[job.Queued] != 0 || s.Oldest != 0 {
			t.Error(s, err)
		}
		for range 3 {
			submit(t, q, job.Submission{})
		}
		if _, err := q.Cancel(t.Context(), submit(t, q, job.Submission{}).ID, nil); err != nil {
			t.Fatal(err)
		}
		if s, err := q.Stats(t.Context()); err != nil || s.Jobs[job.Queued] != 3 || len(s.Jobs) != 3 || s.Oldest <= 0 || s.Oldest > time.Hour {
			t.Error(s, err)
		}
	})
}

func TestProgressIsWrittenFromTimeToTimeWhileAJobRuns(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		q := open(t, url, job.Config{})
		finish := make(chan struct{})
		work(t, q, 1, func(_ context.Context, r *job.Run) job.Outcome {
			r.Progress(json.RawMessage(`{"bytes":1}`))
			r.Progress(json.RawMessage(`{"bytes":2}`))
			r.Log("it goes on")
			<-finish
			return job.Outcome{State: job.Done}
		})
		j := submit(t, q, job.Submission{})
		for string(get(t, q, j.ID).Progress) != `{"bytes":2}` {
			time.Sleep(time.Millisecond)
		}
		for {
			if lines, err := q.Log(t.Context(), j.ID, 0, 0); err != nil {
				t.Fatal(err)
			} else if len(lines) == 1 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		close(finish)
		if j := ended(t, q, j.ID); j.Attempt != 1 || string(j.Progress) != `{"bytes":2}` {
			t.Error(j)
		}
	})
}
