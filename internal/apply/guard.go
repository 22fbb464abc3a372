package apply

import (
	"context"
	"errors"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// guardedTarget is a target repository that asks the guard before it sets names.
type guardedTarget struct {
	transfer.Target
	guard func(context.Context, []plan.Step) error
	verb  string
	steps map[string]plan.Step // by tag
}

// withGuard wraps to for the tags of an end. The wrapper serves one image only.
func (r *Run) withGuard(e *end, to transfer.Target) transfer.Target {
	var steps []plan.Step
	for _, i := range e.steps {
		s := r.Plan.Steps[i]
		s.Overwrite = r.overwrite(s)
		steps = append(steps, s)
	}
	return r.guarding(to, steps...)
}

// guarding wraps to if there is a guard, for the tags that steps set.
func (r *Run) guarding(to transfer.Target, steps ...plan.Step) transfer.Target {
	if r.guard == nil {
		return to
	}
	g := &guardedTarget{Target: to, guard: r.guard, verb: r.Plan.Verb, steps: map[string]plan.Step{}}
	for _, s := range steps {
		g.steps[s.To.Tag] = s
	}
	return g
}

// PutDocument asks the guard before it sets names. If the guard returns an error, none of them is
// set.
func (g *guardedTarget) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	var free []string
	var steps []plan.Step
	var lost oci.Accepted
	for _, tag := range tags {
		s, err := g.checkTag(ctx, doc, tag)
		if err != nil {
			lost = lost.And(oci.Accepted{Failed: map[string]error{tag: err}})
			continue
		}
		free, steps = append(free, tag), append(steps, s)
	}
	if len(tags) > 0 {
		if len(free) == 0 {
			return lost, nil
		}
		if err := g.guard(ctx, steps); err != nil {
			return oci.Accepted{}, err
		}
	}
	accepted, err := g.Target.PutDocument(ctx, doc, free...)
	return accepted.And(lost), err
}

// checkTag returns the step of tag. It looks at the target once more in two cases: if the plan did
// not look at all, and if the tag must not exist yet. The copy of the content may have taken hours,
// at a speed that the source decides. A tag that was created by somebody else meanwhile must not be
// overwritten, so it is a Conflict.
func (g *guardedTarget) checkTag(ctx context.Context, doc oci.Document, tag string) (plan.Step, error) {
	s := g.steps[tag]
	create := s.Overwrite == plan.Refuse && s.Replaces == ""
	if !create && g.verb != "tag" {
		return s, nil
	}
	there, err := g.Resolve(ctx, tag)
	switch {
	case fault.Is(err, fault.NotFound):
		return s, nil
	case err != nil:
		return s, err
	case create && there.Digest != doc.Digest:
		return s, &fault.Fault{
			Kind: fault.Conflict,
			Side: fault.Target,
			Op:   "put tag",
			Name: g.Repo().Tagged(tag).String(),
			Hint: "it was created while the content was copied; make the plan again",
			Err:  errors.New("the tag exists with another digest"),
		}
	}
	s.Replaces = there.Digest
	return s, nil
}
