package temporal

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

const (
	// planned is how many times of a schedule Temporal gets at once. When few are left it gets the next ones.
	planned    = 64
	plannedLow = 10

	catchUp   = 5 * time.Minute // as Config.Late of the Queue: what is later does not fire
	keepTries = 5
)

// scheduleID returns the id of a schedule in Temporal.
func scheduleID(id string) string { return "schedule-" + id }

// keep makes Temporal's schedule from ours, or deletes it. Temporal gets the times themselves and not the
// rule: it reads rules in another way. In the nights when clocks change it skips 02:30 in spring, and an
// hourly rule misses an hour in autumn; and it wants both the day of the month and the day of the week to
// match where cron wants one.
//
// It repeats until the row has not changed in the meantime. Otherwise a process that was suspended could
// leave an old state behind.
func (e *Engine) keep(ctx context.Context, id string) error {
	for range keepTries {
		before, there, err := e.row(ctx, id)
		if err != nil {
			return err
		}
		err = e.put(ctx, id, before, there)
		if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
			continue // another process has created it in the meantime
		}
		if err != nil {
			return e.explain("keep schedule in Temporal", err)
		}
		after, still, err := e.row(ctx, id)
		if err != nil {
			return err
		}
		if there == still && (!there || same(before, after)) {
			return nil
		}
	}
	return &fault.Fault{Kind: fault.Unavailable, Op: "keep schedule in Temporal", Name: id,
		Err: errors.New("it changes all the time")}
}

func (e *Engine) row(ctx context.Context, id string) (s job.Schedule, there bool, err error) {
	s, err = e.q.Schedule(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return s, false, nil
	}
	return s, err == nil, err
}

func same(a, b job.Schedule) bool {
	return a.Cron == b.Cron && a.Zone == b.Zone && a.Paused == b.Paused && a.NextDue.Equal(b.NextDue)
}

func (e *Engine) put(ctx context.Context, id string, s job.Schedule, there bool) error {
	schedules := e.there.ScheduleClient()
	h := schedules.GetHandle(ctx, scheduleID(id))
	var gone *serviceerror.NotFound
	if !there {
		if err := h.Delete(ctx); !errors.As(err, &gone) {
			return err
		}
		return nil
	}
	spec := client.ScheduleSpec{Calendars: calendars(s), TimeZoneName: "UTC"}
	action := &client.ScheduleWorkflowAction{ID: "fire-" + id, Workflow: fireWorkflow, TaskQueue: e.queueOf(""),
		Args: []any{id}}
	change := func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		n := in.Description.Schedule
		n.Spec, n.Action = &spec, action
		n.State.Paused = s.Paused
		return &client.ScheduleUpdate{Schedule: &n}, nil
	}
	err := h.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: change})
	if !errors.As(err, &gone) {
		return err
	}
	_, err = schedules.Create(ctx, client.ScheduleOptions{ID: scheduleID(id), Spec: spec, Action: action, Paused: s.Paused,
		Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchUp})
	return err
}

// calendars returns the next times of a schedule, each as a calendar that matches once.
func calendars(s job.Schedule) []client.ScheduleCalendarSpec {
	only := func(n int) []client.ScheduleRange { return []client.ScheduleRange{{Start: n}} }
	var all []client.ScheduleCalendarSpec
	for due := s.NextDue; len(all) < planned; {
		u := due.UTC().Add(time.Second - 1).Truncate(time.Second) // an interval may be due within a second
		all = append(all, client.ScheduleCalendarSpec{
			Year: only(u.Year()), Month: only(int(u.Month())), DayOfMonth: only(u.Day()),
			Hour: only(u.Hour()), Minute: only(u.Minute()), Second: only(u.Second())})
		var err error
		if due, err = job.Next(s, due); err != nil {
			break
		}
	}
	return all
}

// fire creates the job of a schedule that is due at the given time or was before. It gives Temporal the next
// times if few are left.
func (e *Engine) fire(ctx context.Context, id string, at time.Time) error {
	s, there, err := e.row(ctx, id)
	if err != nil || !there || s.Paused {
		return err
	}
	if !s.NextDue.After(at) {
		if _, _, err := e.q.Fire(ctx, id, s.NextDue); err != nil {
			return err
		}
	}
	d, err := e.there.ScheduleClient().GetHandle(ctx, scheduleID(id)).Describe(ctx)
	if err == nil && len(d.Info.NextActionTimes) >= plannedLow {
		return nil
	}
	return e.keep(ctx, id)
}
