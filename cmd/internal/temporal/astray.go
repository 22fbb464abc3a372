package temporal

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

const (
	lookInterval = time.Minute
	lookAtOnce   = 200
	keepInterval = 10 * time.Minute
	settled      = time.Minute // a job that is younger may have a start that is under way
	overdue      = 10 * time.Second
)

// lookingAfter repairs what Temporal has lost, such as after a restore of its database, and what was ended
// there by hand. The rows are the truth.
func (e *Engine) lookingAfter(ctx context.Context) {
	after, kept := "", time.Time{}
	for pause(ctx, rand.N(lookInterval/4)+lookInterval/2) { //nolint:gosec // spreads the load; needs no secure randomness
		round, done := context.WithTimeout(ctx, lookInterval)
		var err error
		for some := true; some && err == nil; { // where one is missing there may be more
			after, some, err = e.lookForJobs(round, after)
		}
		all := time.Since(kept) > keepInterval
		e2 := e.lookForSchedules(round, all)
		if all && e2 == nil {
			kept = time.Now()
		}
		done()
		if err := errors.Join(err, e2); err != nil && ctx.Err() == nil {
			e.log.Debug("jobs and schedules cannot be compared with Temporal now", "err", err)
		}
	}
}

// lookForJobs looks at some jobs that have not ended, those after the one with the given id. It returns the
// last one that it has looked at, or "" if there are no more, and whether it has repaired any.
func (e *Engine) lookForJobs(ctx context.Context, after string) (next string, some bool, err error) {
	jobs, next, err := e.q.List(ctx, job.Filter{States: []job.State{job.Queued, job.Running, job.Waiting}, After: after,
		Limit: lookAtOnce})
	if err != nil {
		return "", false, err
	}
	for _, j := range jobs {
		if time.Since(j.Created) < settled {
			continue
		}
		repaired, err := e.lookFor(ctx, j.ID)
		if err != nil {
			return "", false, err
		}
		some = some || repaired
	}
	return next, some && next != "", nil
}

// lookFor looks for the workflow of a job that has not ended. If there is none, or it has ended, it starts
// one. A job whose workflow was terminated has Failed: whoever did that wanted its end. It returns whether it
// has changed anything.
func (e *Engine) lookFor(ctx context.Context, id string) (repaired bool, err error) {
	d, err := e.there.DescribeWorkflow(ctx, id, "")
	var gone *serviceerror.NotFound
	switch {
	case errors.As(err, &gone):
	case err != nil:
		return false, e.explain("look for job in Temporal", err)
	case d.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return false, nil
	}
	j, err := e.q.Get(ctx, id) // again: it may have ended just before its workflow
	if fault.Is(err, fault.NotFound) || err == nil && j.State.Ended() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if d != nil && d.Status == enums.WORKFLOW_EXECUTION_STATUS_TERMINATED {
		e.log.Warn("job was terminated in Temporal", "job", id)
		return true, (&crew{e: e}).end(ctx, id, job.Outcome{State: job.Failed, Failure: &job.Failure{Kind: fault.Canceled,
			Text: "the workflow of the job was terminated in Temporal"}})
	}
	e.log.Warn("job has no workflow in Temporal; it gets one", "job", id)
	return true, e.start(ctx, id, enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
}

// lookForSchedules fires schedules that Temporal has not fired, and with all it compares all of them with
// Temporal's.
func (e *Engine) lookForSchedules(ctx context.Context, all bool) error {
	schedules, err := e.q.Schedules(ctx, "")
	if err != nil {
		return err
	}
	for _, s := range schedules {
		if !s.Paused && time.Since(s.NextDue) > overdue {
			_, _, e2 := e.q.Fire(ctx, s.ID, s.NextDue)
			err = errors.Join(err, e2)
		}
		if all {
			err = errors.Join(err, e.keep(ctx, s.ID))
		}
	}
	return err
}
