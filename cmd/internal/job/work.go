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
	unwinding = time.Second // for a runner whose context ended, when Work is stopped
)

// Work claims jobs and runs them, up to slots at a time, and keeps house for the queue: leases,
// schedules, history. With no slots it only keeps house. It returns when ctx has ended: what runs
// then has Config.Grace, and what still runs after it is given back, queued for the next worker.
// A runner that does not return although its context ended is left behind, fenced.
//
// The database may come and go meanwhile. An error is only that of a second Work at the same time.
func (q *Queue) Work(ctx context.Context, slots int, run Runner) error {
	q.mu.Lock()
	if q.working {
		q.mu.Unlock()
		return &fault.Fault{Kind: fault.Conflict, Op: "work", Name: q.owner, Err: errors.New("it works already")}
	}
	q.working = true
	q.mu.Unlock()

	house, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){q.renewing, q.canceling, q.flushing, q.watched().Tell} {
		loops.Go(func() { loop(house) })
	}
	loops.Go(func() { q.housekeeping(ctx) })
	q.dispatch(ctx, slots, run)
	q.wind(house)
	stop()
	loops.Wait()

	q.mu.Lock()
	q.working = false
	q.mu.Unlock()
	return nil
}

// dispatch claims for free slots until ctx ends.
func (q *Queue) dispatch(ctx context.Context, slots int, run Runner) {
	said, err := q.db.Listen(ctx, saidQueued)
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
		// A little apart, so that many idle workers do not ask in step.
		t := time.NewTimer(poll + rand.N(poll/4))
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

// claimWhole is not cut by a stop, which would leave jobs claimed that nobody runs.
func (q *Queue) claimWhole(ctx context.Context, n int) ([]*Run, error) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), q.cfg.Lease/3)
	defer done()
	return q.claim(ctx, n)
}

// drain forgets hints to do what is about to be done. It returns nil for what is closed.
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
	_ = q.db.Publish(live.Topic(r.Job.ID), "") // it is no larger than allowed
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

// keptRuns is how many runs that ended can still be replayed.
const keptRuns = 16

// forget lets go of r, unless the same job was claimed here again meanwhile.
func (q *Queue) forget(r *Run) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running[r.Job.ID] == r {
		delete(q.running, r.Job.ID)
	}
	if q.late = append(q.late, r); len(q.late) > keptRuns {
		q.late = slices.Delete(q.late, 0, 1)
	}
}

// guarded runs one job. A panic fails that job and not the hundred others of this process.
func guarded(ctx context.Context, r *Run, run Runner) (out Outcome) {
	defer func() {
		if p := recover(); p != nil {
			r.Log(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
			out = Outcome{State: Failed, Failure: &Failure{Kind: fault.Internal, Text: fmt.Sprintf("it panicked: %v", p), Hint: "this is a defect of dray; its log has the place"}}
		}
	}()
	return run(ctx, r)
}

// wind lets running jobs come to an end, and gives back those that do not.
func (q *Queue) wind(ctx context.Context) {
	grace, done := context.WithTimeout(ctx, q.cfg.Grace)
	defer done()
	left := wait(grace, q.runs())
	for _, r := range left {
		r.cancel(errStopped)
	}
	end, ended := context.WithTimeout(ctx, unwinding)
	defer ended()
	for _, r := range wait(end, left) {
		if q.handBack(ctx, r) == nil {
			q.forget(r)
		}
	}
}

// wait returns those of runs that had not ended when ctx did.
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

// flushing writes the items and log lines of what runs here, every second.
func (q *Queue) flushing(ctx context.Context) {
	for pause(ctx, poll) {
		for _, r := range q.runs() {
			// What could not be written is kept, and told by the next Item.
			_ = r.flush(ctx)
		}
	}
}
