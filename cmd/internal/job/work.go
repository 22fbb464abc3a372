package job

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
)

// returnTime is how long a runner has to return after its context ended, when Work is stopped.
const returnTime = time.Second

// Work runs jobs, up to slots at a time, as the engine decides. It also does the housekeeping of the queue.
// With slots of 0 or less it runs no jobs.
//
// Work returns when ctx has ended. Running jobs then have Config.Grace to end. After that their contexts
// end, and jobs that are not complete are queued again. A runner that does not return even then is left
// running, but the fence keeps it from changing its job.
//
// Work continues while the database is not reachable. Errors are Conflict, if Work is already running on
// this Queue, and those of the engine.
func (q *Queue) Work(ctx context.Context, slots int, run Runner) error {
	if err := q.beginWork(); err != nil {
		return err
	}
	defer q.endWork()
	slots = max(slots, 0)
	upkeep, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	_ = q.beat(upkeep, slots) // the next one tries again
	loops.Go(func() {
		q.loop(upkeep, "say that this process is alive", beatInterval, func(ctx context.Context) error {
			return q.beat(ctx, slots)
		})
	})
	loops.Go(func() {
		q.loop(upkeep, "write what running jobs have produced", flushInterval, func(ctx context.Context) error {
			return errors.Join(q.flush(ctx, q.runs()...), q.sumUp(ctx))
		})
	})
	loops.Go(func() { q.cleaning(upkeep) })
	over := make(chan error, 1)
	go func() { over <- q.engine.Work(ctx, slots, run) }()
	err := q.windDown(ctx, over)
	stop()
	loops.Wait()
	q.leave(ctx)
	return err
}

func (q *Queue) beginWork() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.working {
		return &fault.Fault{Kind: fault.Conflict, Op: "work", Name: q.owner,
			Err: errors.New("the queue has a worker already")}
	}
	q.working = true
	return nil
}

func (q *Queue) endWork() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.working, q.stopping = false, false
}

// windDown waits until the engine has returned, which it does when ctx has ended and no run is left. It
// ends runs that take too long.
func (q *Queue) windDown(ctx context.Context, over <-chan error) error {
	select {
	case err := <-over:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-over:
		return err
	case <-time.After(q.cfg.Grace):
	}
	q.mu.Lock()
	q.stopping = true // a run that begins from now on is handed back at once
	q.mu.Unlock()
	for _, r := range q.runs() {
		r.interrupt(errStopped)
	}
	select {
	case err := <-over:
		return err
	case <-time.After(returnTime):
	}
	for _, r := range q.runs() {
		r.abandon()
	}
	return <-over
}

// loop calls f at an interval, until ctx ends. An error does not end the loop, and the next call tries
// again. Each call has limited time. what says in the log what f does.
func (q *Queue) loop(ctx context.Context, what string, every time.Duration, f func(context.Context) error) {
	s := story{q: q, what: what}
	for pause(ctx, every) {
		limited, done := context.WithTimeout(ctx, loopTime)
		s.tell(ctx, f(limited))
		done()
	}
}

const loopTime = 10 * time.Second

// keptRuns is how many ended runs are kept, so that watchers can read their events.
const keptRuns = 16

// Carry carries out an attempt: it calls f, writes what f leaves behind, and stores the outcome, unless
// another attempt has the job by then. It returns what was stored. If Work is stopped and f does not return
// in time, the job is queued again and f is left running.
func (q *Queue) Carry(ctx context.Context, r *Run, f func(context.Context, *Run) Outcome) Outcome {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q.enter(r, cancel)
	defer q.forget(r)
	q.bell.Ring(r.Job.ID)
	returned := make(chan Outcome, 1)
	go func() { returned <- guarded(ctx, r, f) }()
	var out Outcome
	select {
	case out = <-returned:
	case <-r.left:
	}
	r.live.End()
	stored := q.finish(ctx, r, out)
	took := time.Since(began)
	if r.resumed {
		took = max(0, q.now().Sub(r.Job.Started))
	}
	if q.cfg.Ended != nil && r.Part == 0 && (stored.State.Ended() || stored.State == Waiting || stored.State == Queued) {
		q.cfg.Ended(r.Job, stored.State, took)
	}
	return stored
}

// Running returns how many runs of jobs, and of parts of jobs, this process carries out.
func (q *Queue) Running() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.running)
}

func (q *Queue) enter(r *Run, cancel context.CancelCauseFunc) {
	q.mu.Lock()
	q.running[r] = true
	stopping := q.stopping
	q.mu.Unlock()
	r.mu.Lock()
	r.cancel = cancel
	cause := r.cause
	r.mu.Unlock()
	switch {
	case cause != nil:
		cancel(cause)
	case r.Job.CancelRequested:
		r.AskCancel()
	case stopping:
		r.interrupt(errStopped)
	}
}

// forget removes r from the runs of this process.
func (q *Queue) forget(r *Run) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.running, r)
	if q.recent = append(q.recent, r); len(q.recent) > keptRuns {
		q.recent = slices.Delete(q.recent, 0, 1)
	}
}

// guarded runs one job. If the runner panics, only its job fails, and the other jobs of this process
// continue.
func guarded(ctx context.Context, r *Run, f func(context.Context, *Run) Outcome) (out Outcome) {
	defer func() {
		if p := recover(); p != nil {
			r.Log(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
			out = Outcome{State: Failed, Failure: &Failure{Kind: fault.Internal,
				Text: fmt.Sprintf("the job panicked: %v", p),
				Hint: "this is a defect of dray: report it with the job's log"}}
		}
	}()
	return f(ctx, r)
}
