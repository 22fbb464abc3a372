//go:build unix

package job_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

func TestAListHasPagesAndFilters(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		var ahead atomic.Int64
		begin := time.Now()
		q := open(t, url, job.Config{Clock: func() time.Time { return begin.Add(time.Duration(ahead.Load())) }})
		var ids []string
		for i := range 25 {
			ahead.Store(int64(time.Duration(i) * time.Second))
			j := submit(t, q, job.Submission{Kind: []string{"import", "copy", "tag"}[i%3], Principal: []string{"ann", "bob"}[i%2],
				Source: fmt.Sprintf("docker.io/library/App%d", i), Target: "registry.example/100%_x", Parent: []string{"", "plan"}[i/20]})
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
		for want, f := range map[string]job.Filter{
			"24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0": {Limit: 4},
			"23 21 19 17 15 13 11 9 7 5 3 1":                                   {Limit: 5, Principal: "bob"},
			"4 3 2 1 0":                                                        {Limit: 5, States: []job.State{job.Canceled}},
			"4 1":                                                              {States: []job.State{job.Canceled, job.Done}, Kinds: []string{"copy"}},
			"24 22 21 19 18 16 15 13 12 10 9 7 6 4 3 1 0":                      {Limit: 50, Kinds: []string{"copy", "import"}},
			"23 22 21":                                                         {Since: begin.Add(21 * time.Second), Until: begin.Add(24 * time.Second)},
			"24 23 22 21 20":                                                   {Parent: "plan"},
			"17":                                                               {Text: "APP17"},
			"7":                                                                {Text: ids[7]},
			"":                                                                 {Text: "100x"}, // % is not a wildcard here
			"24 18 12 6 0":                                                     {Text: "100%_X", Principal: "ann", Kinds: []string{"import"}, Limit: 50, Since: begin, Until: begin.Add(25 * time.Second)},
		} {
			if got := list(f); got != want {
				t.Errorf("%+v\n got %s\nwant %s", f, got, want)
			}
		}
	})
}

func TestHistoryIsBoundedByAgeAndByNumber(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
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
	})
}

// This is a test of what BenchmarkRestartToFirstDispatch measures: neither a page of a list nor a restart
// reads the history.
func TestARestartWithALongHistoryResumesTheRunningJob(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
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
	})
}

func TestAWatchMissesNoStateAndResumesAfterAnEvent(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		q := open(t, url, job.Config{})
		step := make(chan struct{})
		j := submit(t, q, job.Submission{})
		var kinds []string
		var seqs []int64
		emitted := false
		for e, err := range q.Watch(t.Context(), j.ID, 0) {
			must(t, err)
			kinds, seqs = append(kinds, e.Kind), append(seqs, e.Seq)
			switch {
			case len(kinds) == 1: // the job is queued
				work(t, q, 1, func(_ context.Context, r *job.Run) job.Outcome {
					for i := range 5 {
						r.Emit("step", json.RawMessage(strconv.Itoa(i)))
					}
					<-step
					return job.Outcome{State: job.Done}
				})
			case e.Kind == "step" && string(e.Data) == "2" && !emitted:
				emitted = true
				var again []string // what a second watch yields that begins after this event
				for e2, err := range q.Watch(t.Context(), j.ID, e.Seq) {
					must(t, err)
					if e2.Kind == "step" {
						again = append(again, string(e2.Data))
					}
					if len(again) == 2 {
						break
					}
				}
				if strings.Join(again, " ") != "3 4" {
					t.Error(again)
				}
				close(step)
			}
		}
		if got := strings.Join(kinds, ","); got != "state,state,step,step,step,step,step,ended" && got != "state,step,step,step,step,step,ended" {
			t.Error(got, seqs)
		}
		for _, err := range q.Watch(t.Context(), "nothing", 0) {
			if !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range q.Watch(ctx, j.ID, 0) {
			if err != nil && !fault.Is(err, fault.Canceled) {
				t.Error(err)
			}
		}
	})
}

func TestAScheduleFiresOnceInTheClusterAndSkipsWhatItMissed(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		var at atomic.Int64
		clock := func() time.Time { return time.UnixMicro(at.Load()) }
		set := func(s string) {
			when, err := time.Parse(time.RFC3339, s)
			must(t, err)
			at.Store(when.UnixMicro())
		}
		set("2026-03-27T12:00:00Z")
		cfg := job.Config{Clock: clock, DB: openDB(t, url)}
		q := open(t, url, cfg)
		nodes := []*job.Queue{q, open(t, url, cfg), open(t, url, cfg)}
		s, err := q.PutSchedule(t.Context(), job.Schedule{Name: "mirror", Kind: "transfer", Principal: "ann", Cron: "30 2 * * *", Zone: "Europe/Berlin", Request: json.RawMessage(`{"rule":1}`)}, nil)
		must(t, err)
		if want := "2026-03-28T01:30:00Z"; s.NextDue.Format(time.RFC3339) != want {
			t.Error(s.NextDue)
		}
		fire := func() (jobs int) {
			t.Helper()
			before, _, err := q.List(t.Context(), job.Filter{Schedule: s.ID, Limit: 500})
			must(t, err)
			var wg sync.WaitGroup
			for _, n := range nodes {
				wg.Go(func() {
					if err := n.FireDue(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			after, _, err := q.List(t.Context(), job.Filter{Schedule: s.ID, Limit: 500})
			must(t, err)
			if s, err = q.Schedule(t.Context(), s.ID); err != nil {
				t.Fatal(err)
			}
			return len(after) - len(before)
		}
		step := func(what string, now string, want int, next string) {
			t.Helper()
			set(now)
			if got := fire(); got != want || s.NextDue.Format(time.RFC3339) != next {
				t.Errorf("%s: %d jobs, next due %s", what, got, s.NextDue.Format(time.RFC3339))
			}
		}
		step("not yet", "2026-03-28T01:29:59Z", 0, "2026-03-28T01:30:00Z")
		step("due", "2026-03-28T01:30:01Z", 1, "2026-03-29T01:00:00Z") // on 29 March there is no 02:30 in Berlin, so it is due at the end of the skipped hour
		if j, err := q.Get(t.Context(), s.LastJob); err != nil || j.Principal != "ann" || j.Kind != "transfer" || string(j.Request) != `{"rule":1}` || s.LastState != job.Queued || s.LastDue.Format(time.RFC3339) != "2026-03-28T01:30:00Z" {
			t.Error(j, s, err)
		}
		step("the one before is still at work", "2026-03-29T01:31:00Z", 0, "2026-03-30T00:30:00Z")
		_, err = q.Cancel(t.Context(), s.LastJob, nil)
		must(t, err)
		step("missed by hours", "2026-04-02T12:00:00Z", 0, "2026-04-03T00:30:00Z")
		step("late by minutes", "2026-04-03T00:33:00Z", 1, "2026-04-04T00:30:00Z")
		_, err = q.Cancel(t.Context(), s.LastJob, nil)
		must(t, err)

		must(t, q.PauseSchedule(t.Context(), s.ID, nil))
		step("paused", "2026-04-04T00:31:00Z", 0, "2026-04-04T00:30:00Z")
		if j, err := q.RunSchedule(t.Context(), s.ID, nil); err != nil || j.Schedule != s.ID {
			t.Error(j, err)
		} else if _, err := q.Cancel(t.Context(), j.ID, nil); err != nil {
			t.Error(err)
		}
		must(t, q.ResumeSchedule(t.Context(), s.ID, nil))
		step("resumed", "2026-04-04T00:32:00Z", 0, "2026-04-05T00:30:00Z")
		if s.LastState != job.Canceled {
			t.Error(s)
		}
		set("2026-10-24T12:00:00Z") // 02:30 occurs twice in this night, but it must fire once
		step("before winter", "2026-10-24T12:00:00Z", 0, "2026-10-25T00:30:00Z")
		step("winter", "2026-10-25T00:30:00Z", 1, "2026-10-26T01:30:00Z")
		if _, err := q.PutSchedule(t.Context(), job.Schedule{Name: "mirror", Kind: "x", Principal: "ann", Cron: "@daily"}, nil); !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
		if list, err := q.Schedules(t.Context(), "ann"); err != nil || len(list) != 1 {
			t.Error(list, err)
		}
		must(t, q.DeleteSchedule(t.Context(), s.ID, nil))
		for _, err := range []error{q.DeleteSchedule(t.Context(), s.ID, nil), q.PauseSchedule(t.Context(), s.ID, nil), q.ResumeSchedule(t.Context(), s.ID, nil)} {
			if !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
		}
	})
}

func TestAnInvalidCronExpressionOrZoneIsRefused(t *testing.T) {
	q := open(t, "sqlite:"+t.TempDir()+"/x.db", job.Config{})
	for _, s := range []job.Schedule{
		{Cron: ""}, {Cron: "* * * *"}, {Cron: "61 * * * *"}, {Cron: "* * * * *", Zone: "Nowhere/Land"}, {Cron: "0 0 30 2 *"}, {Cron: "@every 1s"}, {Cron: "* * * * *", Zone: "Local"},
		{Cron: "* * * * * *"},
	} {
		s.Name, s.Kind, s.Principal = "n", "k", "p"
		if _, err := q.PutSchedule(t.Context(), s, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q %q: %v", s.Cron, s.Zone, err)
		}
	}
	for _, rule := range []string{"H 2 * * *", "@every 6h", "0 4 * * MON-FRI", "@hourly", "*/5 * 1 * 1"} {
		if _, err := q.PutSchedule(t.Context(), job.Schedule{Name: rule, Kind: "k", Principal: "p", Cron: rule}, nil); err != nil {
			t.Error(rule, err)
		}
	}
}

func TestABudgetIsSharedAndNeverOverdrawn(t *testing.T) {
	both(t, func(t *testing.T, url string) {
		t.Helper()
		var at atomic.Int64
		at.Store(time.Now().UnixMicro())
		q := open(t, url, job.Config{Clock: func() time.Time { return time.UnixMicro(at.Load()) }})
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
	})
}
