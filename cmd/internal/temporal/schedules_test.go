//go:build unix

package temporal_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/job/suite"
	"github.com/drayage/dray/cmd/internal/temporal"
)

func daily(name string) job.Schedule {
	return job.Schedule{Name: name, Kind: "done", Principal: "ann", Cron: "30 2 * * *", Zone: "Europe/Berlin", Request: []byte(`{}`)}
}

func TestAScheduleFiresOnce(t *testing.T) {
	t.Parallel()
	p := here(t)
	db := witness(t, p)
	q, e := openBoth(t, p)
	suite.Work(t, q, 2, newRunner())
	s, err := q.PutSchedule(t.Context(), daily("a"), nil)
	must(t, err)
	eventually(t, func() bool { _, there := plans(t, e, s.ID); return there })
	var due time.Time
	for ahead := 2 * time.Second; !time.Now().Before(due); ahead *= 2 { // Temporal must know of it before it is due
		due = time.Now().UTC().Add(ahead).Truncate(time.Second).Add(300 * time.Millisecond)
		_, err = db.ExecContext(t.Context(), `UPDATE schedules SET next_due = $1 WHERE id = $2`, due.UnixMicro(), s.ID)
		must(t, err)
		must(t, e.LookForSchedules(t.Context()))
	}
	eventually(t, func() bool { s, err := q.Schedule(t.Context(), s.ID); return err == nil && s.LastState == job.Done })
	t.Log("done", time.Since(due), "after it was due")
	if s, err = q.Schedule(t.Context(), s.ID); err != nil || !s.LastDue.Equal(due) || !s.NextDue.After(time.Now()) {
		t.Error(s, err)
	}
	if jobs, _, err := q.List(t.Context(), job.Filter{}); err != nil || len(jobs) != 1 {
		t.Error(jobs, err)
	}
	eventually(t, func() bool { // it is not fired from two sides
		d, err := e.Client().ScheduleClient().GetHandle(t.Context(), temporal.ScheduleID(s.ID)).Describe(t.Context())
		return err == nil && d.Info.NumActions == 1 && len(d.Info.RunningWorkflows) == 0
	})
}

func TestAScheduleThatTemporalHasNotFiredFiresAllTheSame(t *testing.T) {
	t.Parallel()
	p := here(t)
	db := witness(t, p)
	q, e := openBoth(t, p)
	suite.Work(t, q, 2, newRunner())
	s, err := q.PutSchedule(t.Context(), daily("a"), nil)
	must(t, err)
	_, err = db.ExecContext(t.Context(), `UPDATE schedules SET next_due = $1 WHERE id = $2`,
		time.Now().Add(-time.Minute).UnixMicro(), s.ID)
	must(t, err)
	must(t, e.LookForSchedules(t.Context()))
	eventually(t, func() bool { s, err := q.Schedule(t.Context(), s.ID); return err == nil && s.LastState == job.Done })
}

// In the nights when clocks change Temporal reads a rule in another way than docs/jobs.md says. So it has to
// get our times.
func TestTemporalFiresAtTheTimesOfOurRules(t *testing.T) {
	t.Parallel()
	p := here(t)
	db := witness(t, p)
	q, e := openBoth(t, p)
	suite.Work(t, q, 0, newRunner())
	for _, c := range []struct{ cron, zone, from, to string }{
		{"30 2 * * *", "Europe/Berlin", "2027-03-27T00:00:00Z", "2027-03-30T00:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2027-10-30T00:00:00Z", "2027-11-02T00:00:00Z"},
		{"30 * * * *", "Europe/Berlin", "2027-10-30T22:00:00Z", "2027-10-31T04:00:00Z"},
		{"15 2 * * *", "Australia/Lord_Howe", "2027-10-01T00:00:00Z", "2027-10-04T00:00:00Z"},
		{"45 1 * * *", "Australia/Lord_Howe", "2027-04-02T00:00:00Z", "2027-04-05T00:00:00Z"},
		{"0 4 1 * MON", "", "2027-01-01T00:00:00Z", "2027-01-20T00:00:00Z"},
		{"@every 90m", "", "2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"},
	} {
		s := daily(c.cron + c.zone + c.from)
		s.Cron, s.Zone = c.cron, c.zone
		s, err := q.PutSchedule(t.Context(), s, nil)
		must(t, err)
		from, to := instant(t, c.from), instant(t, c.to)
		var ours []time.Time
		for due, err := job.Next(s, from); due.Before(to); due, err = job.Next(s, due) {
			must(t, err)
			ours = append(ours, due.UTC())
		}
		_, err = db.ExecContext(t.Context(), `UPDATE schedules SET next_due = $1 WHERE id = $2`, ours[0].UnixMicro(), s.ID)
		must(t, err)
		eventually(t, func() bool { return e.Keep(t.Context(), s.ID) == nil }) // a call may take too long
		var there *workflowservice.ListScheduleMatchingTimesResponse
		eventually(t, func() bool { // Temporal answers few of these questions at the same time
			there, err = e.Client().WorkflowService().ListScheduleMatchingTimes(t.Context(),
				&workflowservice.ListScheduleMatchingTimesRequest{Namespace: e.Namespace(), ScheduleId: temporal.ScheduleID(s.ID),
					StartTime: timestamppb.New(from), EndTime: timestamppb.New(to.Add(-time.Second))})
			return err == nil
		})
		var theirs []time.Time
		for _, at := range there.StartTime {
			theirs = append(theirs, at.AsTime())
		}
		if len(ours) < 3 || !slices.EqualFunc(ours, theirs, time.Time.Equal) {
			t.Errorf("%s %s:\n%v\n%v", c.cron, c.zone, ours, theirs)
		}
	}
}

func TestASchedulePausesAndGoesInTemporalToo(t *testing.T) {
	t.Parallel()
	p := here(t)
	witness(t, p)
	q, e := openBoth(t, p)
	suite.Work(t, q, 0, newRunner())
	s, err := q.PutSchedule(t.Context(), daily("a"), nil)
	must(t, err)
	paused := func(want bool) func() bool {
		return func() bool { paused, there := plans(t, e, s.ID); return there && paused == want }
	}
	eventually(t, paused(false))
	must(t, q.PauseSchedule(t.Context(), s.ID, nil))
	eventually(t, paused(true))
	must(t, q.ResumeSchedule(t.Context(), s.ID, nil))
	eventually(t, paused(false))
	must(t, q.DeleteSchedule(t.Context(), s.ID, nil))
	eventually(t, func() bool { _, there := plans(t, e, s.ID); return !there })
}

// plans reports whether Temporal has a schedule, and whether it is paused.
func plans(tb testing.TB, e *temporal.Engine, id string) (paused, there bool) {
	tb.Helper()
	d, err := e.Client().ScheduleClient().GetHandle(tb.Context(), temporal.ScheduleID(id)).Describe(tb.Context())
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return false, false
	}
	must(tb, err)
	if d.Schedule.Policy.Overlap != enums.SCHEDULE_OVERLAP_POLICY_SKIP {
		tb.Error(d.Schedule.Policy)
	}
	return d.Schedule.State.Paused, true
}

func instant(tb testing.TB, text string) time.Time {
	tb.Helper()
	at, err := time.Parse(time.RFC3339, text)
	must(tb, err)
	return at
}
