package suite

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

func testAScheduleFiresOnceAndSkipsWhatItMissed(t *testing.T, b Bed) {
	t.Helper()
	a := &alarm{t: t}
	a.set("2026-03-27T12:00:00Z")
	a.q, _ = b.Open(t, job.Config{Clock: a.clock})
	var err error
	a.s, err = a.q.PutSchedule(t.Context(), job.Schedule{
		Name: "mirror", Kind: "transfer", Principal: "ann", Cron: "30 2 * * *", Zone: "Europe/Berlin",
		Request: json.RawMessage(`{"rule":1}`),
	}, nil)
	must(t, err)
	if want := "2026-03-28T01:30:00Z"; a.s.NextDue.Format(time.RFC3339) != want {
		t.Error(a.s.NextDue)
	}
	a.step("not yet", "2026-03-28T01:29:59Z", 0, "2026-03-28T01:30:00Z")
	// On 29 March there is no 02:30 in Berlin, so it is due at the end of the skipped hour.
	a.step("due", "2026-03-28T01:30:01Z", 1, "2026-03-29T01:00:00Z")
	if j, err := a.q.Get(t.Context(), a.s.LastJob); err != nil || j.Principal != "ann" || j.Kind != "transfer" ||
		string(j.Request) != `{"rule":1}` ||
		a.s.LastState != job.Queued || a.s.LastDue.Format(time.RFC3339) != "2026-03-28T01:30:00Z" {
		t.Error(j, a.s, err)
	}
	a.step("the one before is still at work", "2026-03-29T01:31:00Z", 0, "2026-03-30T00:30:00Z")
	a.cancel(a.s.LastJob)
	a.step("missed by hours", "2026-04-02T12:00:00Z", 0, "2026-04-03T00:30:00Z")
	a.step("late by minutes", "2026-04-03T00:33:00Z", 1, "2026-04-04T00:30:00Z")
	a.cancel(a.s.LastJob)

	must(t, a.q.PauseSchedule(t.Context(), a.s.ID, nil))
	a.step("paused", "2026-04-04T00:31:00Z", 0, "2026-04-04T00:30:00Z")
	if j, err := a.q.RunSchedule(t.Context(), a.s.ID, nil); err != nil || j.Schedule != a.s.ID {
		t.Error(j, err)
	} else if _, err := a.q.Cancel(t.Context(), j.ID, nil); err != nil {
		t.Error(err)
	}
	must(t, a.q.ResumeSchedule(t.Context(), a.s.ID, nil))
	a.step("resumed", "2026-04-04T00:32:00Z", 0, "2026-04-05T00:30:00Z")
	if a.s.LastState != job.Canceled {
		t.Error(a.s)
	}
	a.set("2026-10-24T12:00:00Z") // 02:30 occurs twice in this night, but it must fire once
	a.step("before winter", "2026-10-24T12:00:00Z", 0, "2026-10-25T00:30:00Z")
	a.step("winter", "2026-10-25T00:30:00Z", 1, "2026-10-26T01:30:00Z")
	theNameOfAScheduleIsFreeWhenItIsGone(t, a.q, a.s.ID)
}

// alarm is a schedule, and the clock of its queue.
type alarm struct {
	t  *testing.T
	q  *job.Queue
	s  job.Schedule // as it was after the last step
	at atomic.Int64 // microseconds since 1970
}

func (a *alarm) clock() time.Time { return time.UnixMicro(a.at.Load()) }

func (a *alarm) set(now string) {
	a.t.Helper()
	when, err := time.Parse(time.RFC3339, now)
	must(a.t, err)
	a.at.Store(when.UnixMicro())
}

// step sets the clock and fires the schedule if it is due: want jobs must come of it, and next must be due
// then.
func (a *alarm) step(what, now string, want int, next string) {
	a.t.Helper()
	a.set(now)
	if got := a.fire(); got != want || a.s.NextDue.Format(time.RFC3339) != next {
		a.t.Errorf("%s: %d jobs, next due %s", what, got, a.s.NextDue.Format(time.RFC3339))
	}
}

// fire fires the schedule three times at once if it is due, and returns how many jobs came of it.
func (a *alarm) fire() int {
	a.t.Helper()
	before := a.jobs()
	var wg sync.WaitGroup
	for range 3 {
		if a.s.NextDue.After(a.clock()) {
			break
		}
		wg.Go(func() {
			if _, _, err := a.q.Fire(a.t.Context(), a.s.ID, a.s.NextDue); err != nil {
				a.t.Error(err)
			}
		})
	}
	wg.Wait()
	after := a.jobs()
	var err error
	a.s, err = a.q.Schedule(a.t.Context(), a.s.ID)
	must(a.t, err)
	return after - before
}

// jobs returns how many jobs the schedule has made.
func (a *alarm) jobs() int {
	a.t.Helper()
	list, _, err := a.q.List(a.t.Context(), job.Filter{Schedule: a.s.ID, Limit: 500})
	must(a.t, err)
	return len(list)
}

func (a *alarm) cancel(id string) {
	a.t.Helper()
	_, err := a.q.Cancel(a.t.Context(), id, nil)
	must(a.t, err)
}

func theNameOfAScheduleIsFreeWhenItIsGone(t *testing.T, q *job.Queue, id string) {
	t.Helper()
	same := job.Schedule{Name: "mirror", Kind: "x", Principal: "ann", Cron: "@daily"}
	if _, err := q.PutSchedule(t.Context(), same, nil); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	if list, err := q.Schedules(t.Context(), "ann"); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
	must(t, q.DeleteSchedule(t.Context(), id, nil))
	for _, err := range []error{
		q.DeleteSchedule(t.Context(), id, nil),
		q.PauseSchedule(t.Context(), id, nil),
		q.ResumeSchedule(t.Context(), id, nil),
	} {
		if !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	}
}

func testAnInvalidRuleOrZoneIsRefused(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{})
	for _, s := range []job.Schedule{
		{Cron: ""}, {Cron: "* * * *"}, {Cron: "61 * * * *"}, {Cron: "* * * * *", Zone: "Nowhere/Land"},
		{Cron: "0 0 30 2 *"}, {Cron: "@every 1s"}, {Cron: "* * * * *", Zone: "Local"}, {Cron: "* * * * * *"},
		{Cron: "@every"}, {Cron: "TZ=UTC * * * * *"},
	} {
		s.Name, s.Kind, s.Principal = "n", "k", "p"
		if _, err := q.PutSchedule(t.Context(), s, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q %q: %v", s.Cron, s.Zone, err)
		}
	}
	for _, rule := range []string{
		"H 2 * * *", "H H * * *", "@every 6h", "0 4 * * MON-FRI", "@hourly", "*/5 * 1 * 1", //nolint:dupword // H twice
	} {
		s := job.Schedule{Name: rule, Kind: "k", Principal: "p", Cron: rule}
		if _, err := q.PutSchedule(t.Context(), s, nil); err != nil {
			t.Error(rule, err)
		}
	}
}

// The shortest interval is a minute. An engine that reads when a schedule is due from its row does not wait so long.
func testAScheduleIsFiredByTheEngine(t *testing.T, b Bed) {
	t.Helper()
	if b.Brief {
		t.Skip("SKIPPED: it takes a minute")
	}
	q, db := b.Open(t, job.Config{})
	Work(t, q, 1, Func(done))
	s, err := q.PutSchedule(t.Context(), job.Schedule{Name: "n", Kind: "k", Principal: "p", Cron: "@every 1m"}, nil)
	must(t, err)
	due := s.NextDue
	if b.Beside == nil {
		due = time.Now().UTC().Add(time.Second).Truncate(time.Second)
		_, err := db.ExecContext(t.Context(), `UPDATE schedules SET next_due = $1`, due.UnixMicro())
		must(t, err)
	}
	for until := due.Add(20 * time.Second); s.LastState != job.Done; time.Sleep(100 * time.Millisecond) {
		if s, err = q.Schedule(t.Context(), s.ID); err != nil || time.Now().After(until) {
			t.Fatalf("%+v %v", s, err)
		}
	}
	if !s.LastDue.Equal(due) || !s.NextDue.Equal(due.Add(time.Minute)) {
		t.Errorf("%+v", s)
	}
	must(t, q.DeleteSchedule(t.Context(), s.ID, nil))
}

func testTheSchedulesOfAPrincipalAreLimited(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{SchedulesMost: 2})
	put := func(id, name, principal string) (job.Schedule, error) {
		s := job.Schedule{ID: id, Name: name, Kind: "test", Principal: principal, Cron: "@every 1h"}
		return q.PutSchedule(t.Context(), s, nil)
	}
	var first job.Schedule
	for _, name := range []string{"one", "two"} {
		s, err := put("", name, "ann")
		if err != nil {
			t.Fatal(err)
		}
		first = s
	}
	_, err := put("", "three", "ann")
	if !fault.Is(err, fault.Refused) || !strings.Contains(fault.HintOf(err), "per-principal.schedules") {
		t.Errorf("one more: %v", err)
	}
	if all, err := q.Schedules(t.Context(), ""); err != nil || len(all) != 2 {
		t.Errorf("%d schedules, %v", len(all), err)
	}
	if _, err := put(first.ID, "renamed", "ann"); err != nil {
		t.Errorf("a change: %v", err)
	}
	if _, err := put("", "three", "bob"); err != nil {
		t.Errorf("another principal: %v", err)
	}
	if err := q.DeleteSchedule(t.Context(), first.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := put("", "three", "ann"); err != nil {
		t.Errorf("after one was deleted: %v", err)
	}
}
