package dray

import (
	"context"
	"fmt"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// seeLocks asks, for each name that would move from one digest to another,
// whether the registry lets it: a step onto a locked or immutable tag is Broken
// by a Conflict, before anything moves. It costs a request a name on the
// registries that tell, and none elsewhere.
func (p *Draft) seeLocks(ctx context.Context) error {
	var moving []int
	for i, s := range p.Steps {
		if (s.Action == plan.Replace || s.Action == plan.Retag) && s.To.Tag != "" && s.Replaces != "" && s.Replaces != s.Digest() && p.session.base.elsewhere(s.To.Repo) {
			moving = append(moving, i)
		}
	}
	return each(ctx, lookups, moving, func(ctx context.Context, i int) error {
		step := &p.Steps[i]
		why, err := p.session.registry(fault.Target, step.To.Repo, remote.Push).Locked(ctx, step.To.Tag)
		if err != nil || why == "" {
			return fault.On(fault.Target, err)
		}
		step.Action = plan.Broken
		step.Problem = plan.ProblemOf(locked(p.Verb, step.To, fmt.Errorf("%s: it holds %s, the source is %s", why, step.Replaces, step.Digest())))
		return nil
	})
}

const lockedHint = "use another tag, or unlock this one"

func locked(verb string, to ref.Name, why error) error {
	return &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: verb, Name: to.String(), Hint: lockedHint, Err: why}
}
