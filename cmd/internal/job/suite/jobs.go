package suite

import (
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
	"github.com/drayage/dray/fault"
)

func testAJobRunsAndItsReportItemsAndLogCanBeRead(t *testing.T, b Bed) {
	t.Helper()
	q, db := b.Open(t, job.Config{Owner: "host", Seal: reversed{}})
	sub := job.Submission{Kind: "import", Request: json.RawMessage(`{"a": 1}`),
		Source: "s", Target: "t", Parent: "p", Secret: []byte("canary-7f3a91")}
	sub.Also = func(ctx context.Context, tx *sql.Tx, j job.Job) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO job_log (job, seq, at, text) VALUES ($1, 1, 1, 'accepted')`, j.ID)
		return err
	}
	j := Submit(t, q, sub)
	if j.State != job.Queued || j.Attempt != 0 || !j.Started.IsZero() {
		t.Error(j)
	}
	if n := count(t, db, `SELECT count(*) FROM job_secrets`); n != 1 {
		t.Error(n, "secrets")
	}
	Work(t, q, 3, Func(func(ctx context.Context, r *job.Run) job.Outcome {
		secret, err := r.Secret(ctx)
		if err != nil || string(secret) != "canary-7f3a91" || r.Job.State != job.Running || r.Fence(ctx) != nil {
			t.Error(string(secret), err, r.Job)
		}
		r.Log("hello")
		r.Progress(json.RawMessage(`{"bytes":7}`))
		for i := range 600 {
			if err := r.Item(ctx, json.RawMessage(fmt.Sprintf(`{"i":%d}`, i))); err != nil {
				t.Error(err)
			}
		}
		return job.Outcome{State: job.Partly, Report: json.RawMessage(`{"ok":1}`),
			Failure: job.FailureOf(&fault.Fault{Kind: fault.Denied, Op: "put", Hint: "ask"})}
	}))
	j = Ended(t, q, j.ID)
	if j.State != job.Partly || j.Attempt != 1 || !strings.HasPrefix(j.Owner, "host/") ||
		j.Failure.Kind != fault.Denied || j.Failure.Hint != "ask" ||
		string(j.Progress) != `{"bytes":7}` || j.Started.Before(j.Created) || j.Ended.Before(j.Started) ||
		string(get(t, q, j.ID).Request) != `{"a": 1}` || j.Parent != "p" {
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
}

func testASubmissionThatFailsLeavesNothing(t *testing.T, b Bed) {
	t.Helper()
	q, db := b.Open(t, job.Config{})
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
}

func testAKeyStandsForOneJobForADay(t *testing.T, b Bed) {
	t.Helper()
	var ahead atomic.Int64
	q, _ := b.Open(t, job.Config{Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	ids, fresh := sync.Map{}, atomic.Int64{}
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			body := []string{`{"a":1}`, "{ \"a\":\t1 }"}[i%2] // white space makes no difference
			j, isNew, err := q.Submit(t.Context(), job.Submission{
				Kind: "k", Principal: "ann", Request: json.RawMessage(body), Key: "key",
				Also: func(context.Context, *sql.Tx, job.Job) error { return nil },
			})
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
}

func testTheQueuedJobsOfAPrincipalAreLimited(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{QueuedMost: 3})
	first := Submit(t, q, job.Submission{Key: "first"})
	Submit(t, q, job.Submission{})
	Submit(t, q, job.Submission{})
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
	Submit(t, q, job.Submission{Principal: "bob"})
	// A repeated request for an accepted job succeeds, even if the limit is reached.
	if again := Submit(t, q, job.Submission{Key: "first"}); again.ID != first.ID {
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
	_, _, err := q.Submit(t.Context(), job.Submission{Kind: "test", Principal: "ann"})
	if !fault.Is(err, fault.Throttled) {
		t.Error("the limit is reached again:", err)
	}
}

func testStatsCountsJobsAndTheAgeOfTheOldest(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{})
	if s, err := q.Stats(t.Context()); err != nil || s.Jobs[job.Queued] != 0 || s.Oldest != 0 {
		t.Error(s, err)
	}
	for range 3 {
		Submit(t, q, job.Submission{})
	}
	if _, err := q.Cancel(t.Context(), Submit(t, q, job.Submission{}).ID, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := q.Stats(t.Context()); err != nil || s.Jobs[job.Queued] != 3 || len(s.Jobs) != 3 ||
		s.Oldest <= 0 || s.Oldest > time.Hour {
		t.Error(s, err)
	}
}

func testABudgetIsSharedAndNeverOverdrawn(t *testing.T, b Bed) {
	t.Helper()
	var at atomic.Int64
	at.Store(time.Now().UnixMicro())
	q, _ := b.Open(t, job.Config{Clock: func() time.Time { return time.UnixMicro(at.Load()) }})
	draw := func() (sum int64) {
		var got atomic.Int64
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				n, wait, err := q.Draw(t.Context(), "registry", "ann", "pull", 10, 100, 7)
				if err != nil || (n == 0) != (wait > 0) || wait > 100*time.Millisecond {
					t.Error(n, wait, err)
				}
				got.Add(int64(n))
			})
		}
		wg.Wait()
		return got.Load()
	}
	if n := draw(); n != 100 {
		t.Error(n)
	}
	at.Add(2_500_000)
	if n := draw(); n != 25 {
		t.Error(n)
	}
	at.Add(int64(time.Hour / time.Microsecond))
	if n := draw(); n != 100 {
		t.Error(n)
	}
	if n, _, err := q.Draw(t.Context(), "registry", "bob", "pull", 10, 100, 7); err != nil || n != 7 {
		t.Error(n, err)
	}
	if _, _, err := q.Draw(t.Context(), "registry", "bob", "pull", 0, 100, 7); err == nil {
		t.Error("a rate of 0 was accepted")
	}
}

func testAListHasPagesAndFilters(t *testing.T, b Bed) {
	t.Helper()
	var ahead atomic.Int64
	begin := time.Now()
	q, _ := b.Open(t, job.Config{Clock: func() time.Time { return begin.Add(time.Duration(ahead.Load())) }})
	var ids []string
	for i := range 25 {
		ahead.Store(int64(time.Duration(i) * time.Second))
		j := Submit(t, q, job.Submission{
			Kind: []string{"import", "copy", "tag"}[i%3], Principal: []string{"ann", "bob"}[i%2],
			Source: fmt.Sprintf("docker.io/library/App%d", i), Target: "registry.example/100%_x",
			Parent: []string{"", "plan"}[i/20],
		})
		ids = append(ids, j.ID)
	}
	for _, id := range ids[:5] {
		if _, err := q.Cancel(t.Context(), id, nil); err != nil {
			t.Fatal(err)
		}
	}
	list := func(f job.Filter) string {
		t.Helper()
		var got []string
		for {
			page, next, err := q.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, j := range page {
				got = append(got, strings.TrimPrefix(j.Source, "docker.io/library/App"))
			}
			if next == "" {
				return strings.Join(got, " ")
			}
			if len(page) != f.Limit {
				t.Error(len(page), "of", f.Limit)
			}
			f.After = next
		}
	}
	window := job.Filter{Since: begin.Add(21 * time.Second), Until: begin.Add(24 * time.Second)}
	copies := job.Filter{States: []job.State{job.Canceled, job.Done}, Kinds: []string{"copy"}}
	narrow := job.Filter{Text: "100%_X", Principal: "ann", Kinds: []string{"import"}, Limit: 50,
		Since: begin, Until: begin.Add(25 * time.Second)}
	for want, f := range map[string]job.Filter{
		"24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0": {Limit: 4},
		"23 21 19 17 15 13 11 9 7 5 3 1":                                   {Limit: 5, Principal: "bob"},
		"4 3 2 1 0":                                                        {Limit: 5, States: []job.State{job.Canceled}},
		"4 1":                                                              copies,
		"24 22 21 19 18 16 15 13 12 10 9 7 6 4 3 1 0":                      {Limit: 50, Kinds: []string{"copy", "import"}},
		"23 22 21":                                                         window,
		"24 23 22 21 20":                                                   {Parent: "plan"},
		"17":                                                               {Text: "APP17"},
		"7":                                                                {Text: ids[7]},
		"":                                                                 {Text: "100x"}, // % is not a wildcard here
		"24 18 12 6 0":                                                     narrow,
	} {
		if got := list(f); got != want {
			t.Errorf("%+v\n got %s\nwant %s", f, got, want)
		}
	}
}
