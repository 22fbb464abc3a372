package temporal

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

// crew carries out the activities of one call of Work.
type crew struct {
	e     *Engine
	run   job.Runner
	slots *slots
}

func (c *crew) registerWork(w worker.Worker) {
	w.RegisterActivityWithOptions(c.runV1, activity.RegisterOptions{Name: runActivity})
	w.RegisterActivityWithOptions(c.partV1, activity.RegisterOptions{Name: partActivity})
	w.RegisterActivityWithOptions(c.sumV1, activity.RegisterOptions{Name: sumActivity})
}

func (c *crew) registerDesk(w worker.Worker) {
	w.RegisterActivityWithOptions(c.openV1, activity.RegisterOptions{Name: openActivity})
	w.RegisterActivityWithOptions(c.endV1, activity.RegisterOptions{Name: endActivity})
	w.RegisterActivityWithOptions(c.fireV1, activity.RegisterOptions{Name: fireActivity})
}

// runV1 carries out a job, or divides it.
func (c *crew) runV1(ctx context.Context) (answer, error) {
	parts := 0
	a, err := c.carry(ctx, job.Claim{ID: workflowID(ctx)}, func(ctx context.Context, r *job.Run) job.Outcome {
		var out job.Outcome
		parts, out = c.divide(ctx, r)
		return out
	})
	if a.Parts != 0 {
		a.Parts = parts
	}
	return a, err
}

// partsAtOnce is how many parts are stored in one transaction.
const partsAtOnce = 100

// divide stores the parts of a job and returns their number. A job that is not divided is carried out.
func (c *crew) divide(ctx context.Context, r *job.Run) (n int, out job.Outcome) {
	var batch []json.RawMessage
	store := func() error {
		err := c.e.q.PutParts(ctx, r, n+1, batch)
		n, batch = n+len(batch), nil
		return err
	}
	whole, out := c.run.Split(ctx, r, func(part json.RawMessage) error {
		if batch = append(batch, part); len(batch) < partsAtOnce {
			return nil
		}
		return store()
	})
	switch {
	case whole:
		return 0, c.run.Run(ctx, r)
	case out.State != "":
		return 0, out
	}
	if len(batch) > 0 {
		if err := store(); err != nil {
			return 0, job.Outcome{State: job.Failed, Failure: job.FailureOf(err)}
		}
	}
	if n == 0 {
		return 0, c.run.Sum(ctx, r, c.e.q.Outcomes(ctx, r.Job.ID))
	}
	return n, job.Outcome{State: job.Running}
}

// partV1 carries out part n of a job.
func (c *crew) partV1(ctx context.Context, id string, n int) (answer, error) {
	return c.carry(ctx, job.Claim{ID: id, Part: n}, func(ctx context.Context, r *job.Run) job.Outcome {
		part, err := c.e.q.Part(ctx, id, n)
		if err != nil {
			return job.Outcome{State: job.Failed, Failure: job.FailureOf(err)}
		}
		return c.run.Part(ctx, r, part)
	})
}

// sumV1 makes the outcome of a job from those of its parts.
func (c *crew) sumV1(ctx context.Context) (answer, error) {
	id := workflowID(ctx)
	return c.carry(ctx, job.Claim{ID: id, Resume: true}, func(ctx context.Context, r *job.Run) job.Outcome {
		return c.run.Sum(ctx, r, c.e.q.Outcomes(ctx, id))
	})
}

// carry carries out one attempt at a job or a part, in a slot. The errors that it returns are in histories,
// so they have fixed texts.
func (c *crew) carry(
	ctx context.Context, claim job.Claim, f func(context.Context, *job.Run) job.Outcome,
) (answer, error) {
	if !c.slots.enter() {
		return answer{}, again("no slot is free", 50*time.Millisecond)
	}
	defer c.slots.leave()
	token := activity.GetInfo(ctx).TaskToken
	claim.Fence = func(ctx context.Context) error { return c.e.fence(ctx, token) }
	r, err := c.begin(ctx, claim)
	if r == nil || err != nil {
		return answer{}, err
	}
	ctx, done := context.WithCancel(context.WithoutCancel(ctx)) // only r ends the run, so that the cause is known
	go c.e.beat(ctx, token, r)
	out := c.e.q.Carry(ctx, r, func(ctx context.Context, r *job.Run) job.Outcome {
		if r.Solo {
			over := c.slots.solo(ctx)
			defer over()
		}
		return f(ctx, r)
	})
	done()
	switch {
	case out.State == job.Running && !claim.Resume:
		return answer{Parts: 1}, nil
	case out.State == job.Waiting:
		return answer{Again: max(out.After, time.Millisecond)}, nil
	case out.State.Ended():
		return answer{}, nil
	case out.State == job.Queued || out.State == job.Running:
		return answer{}, again("the worker stops", time.Millisecond)
	}
	return answer{}, again("another attempt has the job, or the database does not answer", time.Second)
}

// begin begins an attempt. The run is nil if there is nothing to do.
func (c *crew) begin(ctx context.Context, claim job.Claim) (*job.Run, error) {
	ctx, done := context.WithTimeout(ctx, c.e.lease/2)
	defer done()
	r, err := c.e.q.Begin(ctx, claim)
	if err != nil {
		c.e.warn(ctx, "job cannot begin", err, "job", claim.ID)
		return nil, again("the database does not answer", 0)
	}
	return r, nil
}

// again is an error after which Temporal tries an activity again: after the given time, or as its policy
// says if that is 0.
func again(text string, after time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(text, "again", temporal.ApplicationErrorOptions{NextRetryDelay: after})
}

// openV1 returns the parts of a job that have not ended, of those after a number and up to another.
func (c *crew) openV1(ctx context.Context, id string, after, last int) ([]int, error) {
	open, err := c.e.q.OpenParts(ctx, id, after, last-after)
	if err != nil {
		c.e.warn(ctx, "parts of a job cannot be read", err, "job", id)
		return nil, again("the database does not answer", 0)
	}
	for i, n := range open {
		if n > last {
			return open[:i], nil
		}
	}
	return open, nil
}

// endV1 ends a job whose workflow was canceled and that no activity has ended.
func (c *crew) endV1(ctx context.Context) error {
	return c.end(ctx, workflowID(ctx), job.Outcome{State: job.Canceled,
		Failure: &job.Failure{Kind: fault.Canceled, Text: "canceled"}})
}

// end ends a job. What an interrupted attempt and its parts have left behind stays.
func (c *crew) end(ctx context.Context, id string, out job.Outcome) error {
	r, err := c.begin(ctx, job.Claim{ID: id, Resume: true})
	if r == nil && err == nil { // it does not run
		r, err = c.begin(ctx, job.Claim{ID: id})
	}
	if r == nil || err != nil {
		return err
	}
	stored := c.e.q.Carry(ctx, r, func(context.Context, *job.Run) job.Outcome { return out })
	if !stored.State.Ended() {
		return again("the database does not answer", 0)
	}
	return nil
}

// fireV1 creates the job of a schedule that was due.
func (c *crew) fireV1(ctx context.Context, schedule string, due int64) error {
	err := c.e.fire(ctx, schedule, time.Unix(due, 0).UTC())
	if err != nil && !errors.Is(err, context.Canceled) {
		c.e.warn(ctx, "schedule cannot fire", err, "schedule", schedule)
	}
	if err != nil {
		return again("the database does not answer", 0)
	}
	return nil
}

// warn logs an error of the database. That it does not answer is said once by the process.
func (e *Engine) warn(ctx context.Context, text string, err error, args ...any) {
	level := slog.LevelWarn
	if fault.Is(err, fault.Unavailable) {
		level = slog.LevelDebug
	}
	e.log.Log(ctx, level, text, append(args, "err", err)...)
}

func workflowID(ctx context.Context) string { return activity.GetInfo(ctx).WorkflowExecution.ID }
