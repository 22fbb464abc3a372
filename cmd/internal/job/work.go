package job

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/cmd/internal/job/live"
	"github.com/drayage/dray/fault"
)

const (
	returnTime = time.Second // how long a runner has to return after its context ended, when Work is stopped
)

// Work claims jobs and runs them, up to slots at a time. It also does the housekeeping of the queue:
// leases, schedules and history. With slots of 0 or less it only does the housekeeping.
//
// Work returns when ctx has ended. Running jobs then have Config.Grace to end. After that their contexts
// end, and jobs that are not complete are queued again for another worker. A runner that does not return
// even then is left running, but the fence keeps it from changing its job.
//
// Work continues while the database is not reachable. The only error is Conflict, if Work is already
// running on this Queue.
func (q *Queue) Work(ctx context.Context, slots int, run Runner) error {
	q.mu.Lock()
	if q.working {
		q.mu.Unlock()
		return &fault.Fault{Kind: fault.Conflict, Op: "work", Name: q.owner,
			Err: errors.New("the queue has a worker already")}
	}
	q.working = true
	q.mu.Unlock()

	loopsCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){q.renewing, q.canceling, q.flushing, q.watched().Tell} {
		loops.Go(func() { loop(loopsCtx) })
	}
	loops.Go(func() { q.housekeeping(ctx) })
	q.dispatch(ctx, slots, run)
	q.windDown(loopsCtx)
	stop()
	loops.Wait()

	q.mu.Lock()
	q.working = false
	q.mu.Unlock()
	return nil
}

// dispatch claims jobs for the free slots until ctx ends.
func (q *Queue) dispatch(ctx context.Context, slots int, run Runner) {
	said, err := q.db.Listen(ctx, topicQueued)
	if err != nil || slots <= 0 {
		<-ctx.Done()
		return
	}
	freed := make(chan struct{}, 1)
	for ctx.Err() == nil {
		free := slots - len(q.runs())
		got := 0
		if free > 0 {
			runs, err := q.claimWhole(ctx, free)
			if err != nil {
				pause(ctx, poll/2)
				continue
			}
			for _, r := range runs {
				q.start(ctx, r, run, freed)
			}
			got = len(runs)
		}
		if got > 0 && got == free {
			continue
		}
		// A random part of the interval keeps many idle workers from asking at the same moment.
		t := time.NewTimer(poll + rand.N(poll/4)) //nolint:gosec // spreads the load; needs no secure randomness
		select {
		case <-ctx.Done():
		case _, open := <-said:
			if said = drain(said); !open {
				said = nil
			}
		case <-freed:
		case <-t.C:
		}
		t.Stop()
	}
}

// claimWhole claims jobs even if ctx ends in the meantime. An interrupted claim could leave jobs claimed
// that no worker runs.
func (q *Queue) claimWhole(ctx context.Context, n int) ([]*Run, error) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), q.cfg.Lease/3)
	defer done()
	return q.claim(ctx, n)
}

// drain discards pending notifications, because the caller is about to look for jobs anyway. It returns
// nil if said is closed.
func drain(said <-chan string) <-chan string {
	for {
		select {
		case _, open := <-said:
			if !open {
				return nil
			}
		default:
			return said
		}
	}
}

func (q *Queue) start(ctx context.Context, r *Run, run Runner, freed chan<- struct{}) {
	ctx, r.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	q.mu.Lock()
	q.running[r.Job.ID] = r
	q.mu.Unlock()
	if r.Job.CancelRequested {
		r.askCancel()
	}
	_ = q.db.Publish(live.Topic(r.Job.ID), "") // an empty payload is never too large
	go func() {
		out := guarded(ctx, r, run)
		r.live.End()
		q.finish(ctx, r, out)
		r.cancel(nil)
		q.forget(r)
		close(r.done)
		select {
		case freed <- struct{}{}:
		default:
		}
	}()
}

// keptRuns is how many ended runs are kept, so that watchers can read their events.
const keptRuns = 16

// forget removes r from the running jobs, unless this process has claimed the same job again.
func (q *Queue) forget(r *Run) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running[r.Job.ID] == r {
		delete(q.running, r.Job.ID)
	}
	if q.recent = append(q.recent, r); len(q.recent) > keptRuns {
		q.recent = slices.Delete(q.recent, 0, 1)
	}
}

// guarded runs one job. If the runner panics, only its job fails, and the other jobs of this process
// continue.
func guarded(ctx context.Context, r *Run, run Runner) (out Outcome) {
	defer func() {
		if p := recover(); p != nil {
			r.Log(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
			out = Outcome{State: Failed, Failure: &Failure{Kind: fault.Internal,
				Text: fmt.Sprintf("the job panicked: %v", p),
				Hint: "this is a defect of dray: report it with the job's log"}}
		}
	}()
	return run(ctx, r)
}

// windDown waits for running jobs to end, and queues those again that do not.
func (q *Queue) windDown(ctx context.Context) {
	grace, done := context.WithTimeout(ctx, q.cfg.Grace)
	defer done()
	left := wait(grace, q.runs())
	for _, r := range left {
		r.cancel(errStopped)
	}
	end, ended := context.WithTimeout(ctx, returnTime)
	defer ended()
	for _, r := range wait(end, left) {
		if q.handBack(ctx, r) == nil {
			q.forget(r)
		}
	}
}

// wait waits for runs to end and returns those that had not ended when ctx did.
func wait(ctx context.Context, runs []*Run) (left []*Run) {
	for _, r := range runs {
		select {
		case <-r.done:
		case <-ctx.Done():
			select {
			case <-r.done:
			default:
				left = append(left, r)
			}
		}
	}
	return left
}

// flushing writes the items and log lines of the runs in this process every second.
func (q *Queue) flushing(ctx context.Context) {
	for pause(ctx, poll) {
		for _, r := range q.runs() {
			// On an error the items are kept, and the next Item returns the error if it persists.
			_ = r.flush(ctx)
		}
	}
}
