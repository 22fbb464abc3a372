package suite

import (
	"context"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

func testAnInvalidRuleOrZoneIsRefused(t *testing.T, b Bed) {
	t.Helper()
	q, _ := b.Open(t, job.Config{})
	for _, s := range []job.Schedule{
		{Cron: ""}, {Cron: "* * * *"}, {Cron: "61 * * * *"}, {Cron: "* * * * *", Zone: "Nowhere/Land"}, {Cron: "0 0 30 2 *"}, {Cron: "@every 1s"}, {Cron: "* * * * *", Zone: "Local"},
		{Cron: "* * * * * *"}, {Cron: "@every"}, {Cron: "TZ=UTC * * * * *"},
	} {
		s.Name, s.Kind, s.Principal = "n", "k", "p"
		if _, err := q.PutSchedule(t.Context(), s, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q %q: %v", s.Cron, s.Zone, err)
		}
	}
	for _, rule := range []string{"H 2 * * *", "H H * * *", "@every 6h", "0 4 * * MON-FRI", "@hourly", "*/5 * 1 * 1"} { //nolint:dupword // H twice
		if _, err := q.PutSchedule(t.Context(), job.Schedule{Name: rule, Kind: "k", Principal: "p", Cron: rule}, nil); err != nil {
			t.Error(rule, err)
		}
	}
}

// The shortest interval is a minute, so this test is long.
func testAScheduleIsFiredByTheEngine(t *testing.T, b Bed) {
	t.Helper()
	if b.Brief || testing.Short() {
		t.Skip("SKIPPED: it takes a minute")
	}
	q, _ := b.Open(t, job.Config{})
	Work(t, q, 1, Func(func(context.Context, *job.Run) job.Outcome { return job.Outcome{State: job.Done} }))
	s, err := q.PutSchedule(t.Context(), job.Schedule{Name: "n", Kind: "k", Principal: "p", Cron: "@every 1m"}, nil)
	must(t, err)
	due := s.NextDue
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
