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

// through does the waves of tasks, one after another. What a spent pull limit
// stops is left for later and in nobody's way: it waits for the limit once all
// else is done.
func (r *Run) through(ctx context.Context, images int, waves ...[]*task) {
	for {
		var late []*task
		for i, wave := range waves {
			waves[i] = r.pass(ctx, images, wave)
			late = append(late, waves[i]...)
		}
		if len(late) == 0 || ctx.Err() != nil {
			return
		}
		err := r.refill(ctx, late)
		if ctx.Err() != nil {
			return // they were not started
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

// pass does tasks side by side and returns those that have to wait.
func (r *Run) pass(ctx context.Context, images int, tasks []*task) []*task {
	late := make([]*task, len(tasks))
	// The error is that of a context that ended; what each step met is in its report.
	_ = place.Each(ctx, images, place.IndexesOf(tasks), func(ctx context.Context, i int) error {
		late[i] = r.copy(ctx, tasks[i])
		return nil
	})
	return present(late)
}

func present(tasks []*task) []*task {
	var there []*task
	for _, t := range tasks {
		if t != nil {
			there = append(there, t)
		}
	}
	return there
}

// glance is how often a wait for pulls looks whether they are back, which is free.
const glance = 5 * time.Minute

// refill waits until the registry that late tasks read from has pulls again. The
// error says that this takes longer than any wait may, or that ctx ended.
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
				Text: fmt.Sprintf("%s: the pull limit is used up until %s", late[0].from.Host, until.Format("15:04"))})
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(d, glance)):
		}
		r.look(ctx, late[0])
	}
}

// look asks for one image's digest, whose answer tells what is left. An error tells nothing, and the wait goes on.
func (r *Run) look(ctx context.Context, t *task) {
	if at, err := r.session.Source(t.from); err == nil {
		_, _ = at.Resolve(ctx, string(t.root.Digest))
	}
}
