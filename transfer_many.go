package dray

import (
	"context"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// together parts landings by what lands: those of one part have the same sources, one
// landing at each target, and are planned and carried out by one reading.
func together(landings []plan.Landing) [][]plan.Landing {
	var parts [][]plan.Landing
	at := map[ref.Repo][]int{} // by the first source: the parts that begin with it
next:
	for _, l := range landings {
		for _, i := range at[l.From[0]] {
			if slices.Equal(parts[i][0].From, l.From) {
				parts[i] = append(parts[i], l)
				continue next
			}
		}
		at[l.From[0]] = append(at[l.From[0]], len(parts))
		parts = append(parts, []plan.Landing{l})
	}
	return parts
}

// planPart looks at the sources of a part once, and at each of its targets. What is wrong
// with one target is Broken there alone.
func (r *transferring) planPart(ctx context.Context, part []plan.Landing) []surveyed {
	s := r.begin()
	var targets []ref.Repo
	for _, l := range part {
		targets = append(targets, l.To)
	}
	for _, from := range part[0].From {
		s.aim(from, targets...)
	}
	var first *looking
	plans := make([]surveyed, len(part))
	for i, l := range part {
		p := surveyed{RepositoryPlan: RepositoryPlan{To: l.To, From: l.From}, session: s}
		look := newLooking(r.scope, l, &p)
		if first != nil {
			look.after(first)
		}
		if err := look.run(ctx); err != nil {
			p.Steps = []plan.Step{{Action: plan.Broken, From: look.troubled(), To: l.To.Tagged(""), Problem: plan.ProblemOf(err)}}
		}
		if first == nil || !first.sawSources() {
			first = look
		}
		plans[i] = p
	}
	return plans
}

// joined is a part as one plan: an image that goes to several targets is one task, and is read once.
func joined(part []surveyed) surveyed {
	all := part[0]
	all.Steps = slices.Clone(all.Steps)
	for _, p := range part[1:] {
		all.Steps = append(all.Steps, p.Steps...)
	}
	return all
}

// targets reads Target and Also.
func (r *transferring) targets(sources []reach) ([]reach, error) {
	var targets []reach
	for _, s := range append([]string{r.req.Target}, r.req.Also...) {
		to, err := r.names.reach(s)
		if err != nil {
			return nil, err
		}
		if to.single() && slices.ContainsFunc(sources, func(s reach) bool { return !s.single() }) {
			return nil, invalid("transfer", s, "many repositories do not go into one", "a prefix ends in a slash: "+s+"/")
		}
		if slices.Contains(targets, to) {
			return nil, twice(s)
		}
		targets = append(targets, to)
	}
	return targets, nil
}

func twice(target string) error {
	return &fault.Fault{Kind: fault.Invalid, Side: fault.Target, Op: "transfer", Name: target, Hint: "take one of them out", Err: errTwice}
}
