package temporal

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The names of workflows and activities are in histories. A name stands for its code forever.
const (
	jobWorkflow   = "job.v1"
	rangeWorkflow = "range.v1"
	fireWorkflow  = "fire.v1"

	runActivity  = "run.v1"
	partActivity = "part.v1"
	sumActivity  = "sum.v1"
	openActivity = "open.v1"
	endActivity  = "end.v1"
	fireActivity = "fire.v1"
)

// The task queues of a cluster begin with its id, so that two clusters in one namespace do not take each
// other's tasks. Workflows are taken by every process, and so are the short activities of the desk, which
// only read and write rows. Jobs are taken by the processes of their pool.

// deskOf returns the task queue of the desk, from that of workflows.
func deskOf(workflows string) string { return workflows + ".desk" }

const (
	maxHistory = 3000 // events after which a workflow continues as a new one
	inRange    = 400  // parts of one range
	ranges     = 2    // ranges at the same time, so that the end of one leaves no worker idle
	inFlight   = 128  // parts of one range that are queued or run at the same time
	forever    = 10 * 365 * 24 * time.Hour
	sumTries   = 5 * time.Minute // how long an end is tried without a worker of the pool
)

// plan is the argument of the workflow of a job.
type plan struct {
	Queue string        // task queue of its activities
	Fair  string        // fairness key: jobs with the same key share one place in the order
	Lease time.Duration // heartbeat timeout
	Range int           // parts of one range; each has up to 6 events

	// Parts is the number of parts of a job that is divided; 0 before that. After is the last number of a
	// range that has ended.
	Parts, After int
}

// answer is what an activity says about a job or a part.
type answer struct {
	Parts int           // the job goes on in so many parts
	Again time.Duration // the job or part runs again after this time; 0 means that it has ended
}

// span is a range of parts: those above After, up to Last.
type span struct{ After, Last int }

// jobV1 carries out a job: in one activity, or in parts on all workers and then a sum. A job may ask to run
// again later. A cancel ends the activities, and then stores how the job ended.
func jobV1(ctx workflow.Context, p plan) error {
	for {
		again, err := attempt(ctx, &p)
		switch {
		case workflow.IsContinueAsNewError(err):
			return err
		case err != nil:
			return end(ctx, p, err)
		case again == 0:
			return nil
		}
		if err := workflow.Sleep(ctx, again); err != nil {
			return end(ctx, p, err)
		}
		if history(ctx) > maxHistory {
			return workflow.NewContinueAsNewError(ctx, jobWorkflow, p)
		}
	}
}

// attempt carries a job out once. again is the time until it must be carried out again; 0 means never.
func attempt(ctx workflow.Context, p *plan) (again time.Duration, err error) {
	if p.Parts == 0 {
		var a answer
		if err := workflow.ExecuteActivity(p.work(ctx), runActivity).Get(ctx, &a); err != nil || a.Parts == 0 {
			return a.Again, err
		}
		p.Parts, p.After = a.Parts, 0
	}
	if err := parts(ctx, p); err != nil {
		return 0, err
	}
	var a answer
	if err := workflow.ExecuteActivity(p.work(ctx), sumActivity).Get(ctx, &a); err != nil {
		return 0, err
	}
	p.Parts = 0
	return a.Again, nil
}

// end stores that a job was canceled, or that its workflow could not go on. A divided job is added up, so
// that its report says what was done.
func end(ctx workflow.Context, p plan, cause error) error {
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	if p.Parts > 0 {
		o := workflow.GetActivityOptions(p.work(ctx))
		o.ScheduleToCloseTimeout = sumTries
		if workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), sumActivity).Get(ctx, nil) == nil {
			return cause
		}
	}
	_ = workflow.ExecuteActivity(desk(ctx), endActivity).Get(ctx, nil) // tried until it succeeds
	return cause
}

// parts carries out the parts of a job that have not ended. A few are carried out here. Many are divided
// among workflows, so that no history grows long.
func parts(ctx workflow.Context, p *plan) error {
	if p.Parts <= p.Range {
		again, err := window(ctx, *p, span{0, p.Parts})
		if err == nil && again {
			return workflow.NewContinueAsNewError(ctx, jobWorkflow, *p)
		}
		return err
	}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WaitForCancellation: true, Priority: temporal.Priority{FairnessKey: p.Fair}})
	var running []workflow.ChildWorkflowFuture
	last := p.After
	for last < p.Parts && history(ctx) < maxHistory || len(running) > 0 {
		for len(running) < ranges && last < p.Parts && history(ctx) < maxHistory {
			next := span{last, min(last+p.Range, p.Parts)}
			running, last = append(running, workflow.ExecuteChildWorkflow(ctx, rangeWorkflow, *p, next)), next.Last
		}
		if err := running[0].Get(ctx, nil); err != nil {
			for _, r := range running[1:] { // canceled, too
				_ = r.Get(ctx, nil)
			}
			return err
		}
		running = running[1:]
	}
	if p.After = last; last < p.Parts {
		return workflow.NewContinueAsNewError(ctx, jobWorkflow, *p)
	}
	return nil
}

// rangeV1 carries out a range of the parts of the job whose workflow started it.
func rangeV1(ctx workflow.Context, p plan, s span) error {
	again, err := window(ctx, p, s)
	if err == nil && again {
		return workflow.NewContinueAsNewError(ctx, rangeWorkflow, p, s)
	}
	return err
}

// window carries out the parts of s that have not ended, up to inFlight at the same time. again is true if
// the history is long and parts are left.
func window(ctx workflow.Context, p plan, s span) (again bool, err error) {
	id := jobID(ctx)
	var open []int
	if err := workflow.ExecuteActivity(desk(ctx), openActivity, id, s.After, s.Last).Get(ctx, &open); err != nil {
		return false, err
	}
	free, wg := workflow.NewSemaphore(ctx, inFlight), workflow.NewWaitGroup(ctx)
	for _, n := range open {
		if err := free.Acquire(ctx, 1); err != nil {
			break // canceled
		}
		wg.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer wg.Done()
			defer free.Release(1)
			left, e := part(ctx, p, id, n)
			again = again || left
			err = errors.Join(err, e)
		})
	}
	disconnected, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	wg.Wait(disconnected) // an activity that is canceled still has to stop
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return again, err
}

// part carries out one part. left is true if it must be carried out again by a new workflow.
func part(ctx workflow.Context, p plan, id string, n int) (left bool, err error) {
	for {
		var a answer
		err := workflow.ExecuteActivity(p.work(ctx), partActivity, id, n).Get(ctx, &a)
		if err != nil || a.Again == 0 {
			return false, err
		}
		if err := workflow.Sleep(ctx, a.Again); err != nil {
			return false, err
		}
		if history(ctx) > maxHistory {
			return true, nil
		}
	}
}

// fireV1 creates the job of a schedule at the time at which it was due.
func fireV1(ctx workflow.Context, schedule string) error {
	const started = "TemporalScheduledStartTime" // set by Temporal
	due, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(temporal.NewSearchAttributeKeyTime(started))
	if !ok {
		due = workflow.Now(ctx)
	}
	return workflow.ExecuteActivity(desk(ctx), fireActivity, schedule, due.Unix()).Get(ctx, nil)
}

// jobID returns the job of a workflow: its id, or that of the workflow that started it.
func jobID(ctx workflow.Context) string {
	info := workflow.GetInfo(ctx)
	if info.ParentWorkflowExecution != nil {
		return info.ParentWorkflowExecution.ID
	}
	return info.WorkflowExecution.ID
}

func history(ctx workflow.Context) int { return workflow.GetInfo(ctx).GetCurrentHistoryLength() }

// work returns ctx for the activities that carry out the job. They are tried until they end: package job
// counts the attempts.
func (p plan) work(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: p.Queue, StartToCloseTimeout: forever, HeartbeatTimeout: p.Lease, WaitForCancellation: true,
		RetryPolicy:           retries(time.Second),
		Priority:              temporal.Priority{FairnessKey: p.Fair},
		DisableEagerExecution: true,
	})
}

// desk returns ctx for activities that read and write a few rows.
func desk(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: deskOf(workflow.GetInfo(ctx).TaskQueueName), StartToCloseTimeout: time.Minute,
		RetryPolicy:           retries(500 * time.Millisecond),
		DisableEagerExecution: true,
	})
}

func retries(first time.Duration) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: first, BackoffCoefficient: 1.5, MaximumInterval: 10 * time.Second}
}
