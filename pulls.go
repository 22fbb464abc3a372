package dray

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/transfer"
)

// Pulls is what a run spent of a registry's pull limit. At Docker Hub reading a
// manifest is a pull; asking for its digest is free.
type Pulls struct {
	Spent   int        `json:"spent"`             // by this run, planning included
	Left    *int       `json:"left,omitempty"`    // nil where the registry tells of no limit
	Limit   int        `json:"limit,omitempty"`   // in a window; 0 where the registry tells of none
	Refills *time.Time `json:"refills,omitempty"` // when all are back, at the latest; nil where none is missing
}

// pullsIn is how many pulls an answer is, at a registry that counts them.
func pullsIn(e event.Event) int {
	if e.Method == http.MethodGet && e.Status == http.StatusOK && strings.Contains(e.URL, "/manifests/") {
		return 1
	}
	return 0
}

// pulls says what each registry with a pull limit has left.
func (s *session) pulls() map[string]Pulls {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base.pullsOf(s.pulled)
}

// pullsOf says it of the hosts that were asked, by what was spent there.
func (b *base) pullsOf(spent map[string]int) map[string]Pulls {
	var all map[string]Pulls
	for host, n := range spent {
		budget, known := b.remote.Budget(host)
		if !known {
			continue
		}
		p := Pulls{Spent: n, Limit: budget.Limit, Refills: moment(budget.Resets)}
		if budget.Limit > 0 {
			p.Left = &budget.Remaining
		}
		if all == nil {
			all = map[string]Pulls{}
		}
		all[host] = p
	}
	return all
}

// through does the waves of tasks, one after another. What a spent pull limit
// stops is left for later and in nobody's way: it waits for the limit once all
// else is done.
func (r *run) through(ctx context.Context, images int, waves ...[]*task) {
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
func (r *run) pass(ctx context.Context, images int, tasks []*task) []*task {
	late := make([]*task, len(tasks))
	// The error is that of a context that ended; what each step met is in its report.
	_ = each(ctx, images, indexesOf(tasks), func(ctx context.Context, i int) error {
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
func (r *run) refill(ctx context.Context, late []*task) error {
	told := false
	for {
		until := time.Time{}
		for _, t := range late {
			if b, _ := r.session.base.remote.Budget(t.from.Host); b.Spent() && b.Resets.After(until) {
				until = b.Resets
			}
		}
		d := time.Until(until)
		switch {
		case d <= 0:
			return nil
		case d > r.session.base.maxWait:
			return &fault.Fault{Kind: fault.Throttled, RetryAfter: d}
		case !told:
			told = true
			r.session.observe(event.Event{Kind: event.Waiting, Host: late[0].from.Host, Wait: d, Count: len(late),
				Text: fmt.Sprintf("%s: pulls spent, until %s", late[0].from.Host, until.Format("15:04"))})
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
func (r *run) look(ctx context.Context, t *task) {
	if at, err := r.session.source(t.from); err == nil {
		_, _ = at.Resolve(ctx, string(t.root.Digest))
	}
}
