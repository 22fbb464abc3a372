package temporal

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

const (
	retryInterval = time.Second
	deskSlots     = 20
	// stopTime is longer than a run may take to end. The Queue sees to it that runs end.
	stopTime = 24 * time.Hour
)

// Work takes tasks from Temporal, and carries out orders, until ctx ends. It then begins nothing more, and
// returns when the runs have ended. It waits for a Temporal that does not answer, and says so.
func (e *Engine) Work(ctx context.Context, slots int, run job.Runner) error {
	var loops sync.WaitGroup
	loops.Go(func() { e.carrying(ctx) })
	loops.Go(func() { e.lookingAfter(ctx) })
	defer loops.Wait()
	var said fault.Kind // of what was logged last; none if Temporal answered since
	for ctx.Err() == nil {
		err := e.serve(ctx, &crew{e: e, run: run, slots: newSlots(slots)})
		if err != nil && ctx.Err() == nil {
			if kind := fault.KindOf(err); kind != said {
				e.log.Warn("waiting for Temporal", "err", err)
				said = kind
			}
			pause(ctx, retryInterval)
		} else {
			said = ""
		}
	}
	return nil
}

// serve takes tasks until ctx ends, or until Temporal refuses them.
func (e *Engine) serve(ctx context.Context, c *crew) error {
	if err := e.Ready(ctx); err != nil {
		return err
	}
	broken := make(chan error, 1)
	var started []worker.Worker
	defer func() {
		var stopping sync.WaitGroup
		for _, w := range started {
			stopping.Go(w.Stop)
		}
		stopping.Wait()
	}()
	for _, w := range e.workers(c, broken) {
		if err := w.Start(); err != nil {
			return e.explain("take tasks from Temporal", err)
		}
		started = append(started, w)
	}
	e.log.Info("taking jobs from Temporal", "at", e.at.name, "cluster", e.q.Cluster(),
		"pools", e.pools, "slots", c.slots.most)
	select {
	case <-ctx.Done():
		return nil
	case err := <-broken:
		return e.explain("take tasks from Temporal", err)
	}
}

// workers returns what takes tasks from each queue.
func (e *Engine) workers(c *crew, broken chan<- error) []worker.Worker {
	failed := func(err error) {
		select {
		case broken <- err:
		default:
		}
	}
	options := worker.Options{DisableEagerActivities: true, WorkerStopTimeout: stopTime, OnFatalError: failed,
		DeadlockDetectionTimeout: 10 * time.Second} // workflows only wait for a processor
	flows := options
	flows.LocalActivityWorkerOnly = true // no activities
	w := worker.New(e.there, e.queueOf(""), flows)
	w.RegisterWorkflowWithOptions(jobV1, workflow.RegisterOptions{Name: jobWorkflow})
	w.RegisterWorkflowWithOptions(rangeV1, workflow.RegisterOptions{Name: rangeWorkflow})
	w.RegisterWorkflowWithOptions(fireV1, workflow.RegisterOptions{Name: fireWorkflow})
	all := []worker.Worker{w}

	desk := options
	desk.DisableWorkflowWorker, desk.MaxConcurrentActivityExecutionSize = true, deskSlots
	w = worker.New(e.there, deskOf(e.queueOf("")), desk)
	c.registerDesk(w)
	all = append(all, w)
	if c.slots.most <= 0 {
		return all
	}
	tuner, err := c.slots.tuner()
	if err != nil {
		failed(err)
	}
	for _, pool := range e.pools {
		work := options
		work.DisableWorkflowWorker, work.Tuner = true, tuner
		w := worker.New(e.there, e.queueOf(pool), work)
		c.registerWork(w)
		all = append(all, w)
	}
	return all
}
