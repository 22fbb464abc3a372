package migrate

import (
	"context"
	"slices"

	"github.com/drayage/dray/internal/survey"
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
func (r *transferring) planPart(ctx context.Context, part []plan.Landing) []survey.Surveyed {
	s := r.begin()
	var targets []ref.Repo
	for _, l := range part {
		targets = append(targets, l.To)
	}
	for _, from := range part[0].From {
		s.Aim(from, targets...)
	}
	var first *survey.Landing
	plans := make([]survey.Surveyed, len(part))
	for i, l := range part {
		p := survey.Surveyed{Repository: plan.Repository{To: l.To, From: l.From}, Session: s}
		look := survey.NewLanding(r.Scope, l, &p)
		if first != nil {
			look.After(first)
		}
		if err := look.Plan(ctx); err != nil {
			p.Steps = []plan.Step{{Action: plan.Broken, From: look.Troubled(), To: l.To.Tagged(""), Problem: plan.ProblemOf(err)}}
		}
		if first == nil || !first.SawSources() {
			first = look
		}
		plans[i] = p
	}
	return plans
}

// joined is a part as one plan: an image that goes to several targets is one task, and is read once.
func joined(part []survey.Surveyed) survey.Surveyed {
	all := part[0]
	all.Steps = slices.Clone(all.Steps)
	for _, p := range part[1:] {
		all.Steps = append(all.Steps, p.Steps...)
	}
	return all
}
