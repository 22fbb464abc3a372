package apply

import (
	"context"
	"fmt"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/transfer"
)

// runRounds runs the rounds of tasks, one after another. A task that the pull limit stops does not
// block the others: it waits for the limit after all other tasks are done.
func (r *Run) runRounds(ctx context.Context, images int, waves ...[]*task) {
	for {
		var late []*task
		for i, wave := range waves {
			waves[i] = r.runTasks(ctx, images, wave)
			late = append(late, waves[i]...)
		}
		if len(late) == 0 || ctx.Err() != nil {
			return
		}
		err := r.refill(ctx, late)
		if ctx.Err() != nil {
			return // the tasks were not started
		}
		if err != nil {
			for _, t := range late {
				for _, e := range t.to {
					r.settle(e, transfer.Outcome{Err: t.late})
				}
			}
			return
		}
	}
}

// runTasks runs tasks in parallel and returns those that must wait for the pull limit.
func (r *Run) runTasks(ctx context.Context, images int, tasks []*task) []*task {
	late := make([]*task, len(tasks))
	// The error only says that the context ended. The error of each step is in its report.
	_ = place.Each(ctx, images, place.IndexesOf(tasks), func(ctx context.Context, i int) error {
		late[i] = r.inTurn(ctx, tasks[i])
		return nil
	})
	return withoutNil(late)
}

// inTurn calls copy when it is the turn of t. If ctx ends before that, the steps of t are not started.
// A task that only sets names moves no content and waits for no turn.
func (r *Run) inTurn(ctx context.Context, t *task) (late *task) {
	if r.Turn != nil && t.part != namesOnly {
		end, ok := r.Turn(ctx)
		if !ok {
			return nil
		}
		defer end()
	}
	return r.copy(ctx, t)
}

func withoutNil(tasks []*task) []*task {
	var there []*task
	for _, t := range tasks {
		if t != nil {
			there = append(there, t)
		}
	}
	return there
}

// refillInterval is how often refill checks whether pulls are available again. Such a check is not
// counted as a pull.
const refillInterval = 5 * time.Minute

// refill waits until the registry that the late tasks read from allows pulls again. Its error says
// that the wait would exceed Base.MaxWait, or that ctx ended.
func (r *Run) refill(ctx context.Context, late []*task) error {
	told := false
	for {
		until := time.Time{}
		for _, t := range late {
			if b, _ := r.session.Base.Remote.Budget(t.from.Host); b.Spent() && b.Resets.After(until) {
				until = b.Resets
			}
		}
		d := time.Until(until)
		switch {
		case d <= 0:
			return nil
		case d > r.session.Base.MaxWait:
			return &fault.Fault{Kind: fault.Throttled, RetryAfter: d}
		case !told:
			told = true
			r.session.Observe(event.Event{Kind: event.Waiting, Host: late[0].from.Host, Wait: d, Count: len(late),
				Text: fmt.Sprintf("%s: the pull limit is used up until %s",
					late[0].from.Host, until.UTC().Format("2006-01-02 15:04 UTC"))})
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(d, refillInterval)):
		}
		r.refreshLimit(ctx, late[0])
	}
}

// look resolves the digest of one image with a HEAD request. The response headers update the known
// pull limit. An error is ignored, and refill keeps waiting.
func (r *Run) refreshLimit(ctx context.Context, t *task) {
	if at, err := r.session.Source(ctx, t.from); err == nil {
		_, _ = at.Resolve(ctx, string(t.root.Digest))
	}
}
