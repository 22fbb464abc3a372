package migrate

import (
	"context"
	"slices"

	"github.com/drayage/dray/internal/admit"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/survey/landing"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// part is the plan of landings with the same sources, while it is made. Most landings are planned at once. A large one
// is planned in ranges, and each is made when the one before it was taken, so that memory does not grow with the
// number of tags.
type part struct {
	*transferring
	landings []*course
	rounds   [][]cell           // which ranges are passed on together
	first    []landing.Surveyed // those of the first round
}

// course is one landing of a part, while it is planned.
type course struct {
	look   *landing.Landing
	plan   landing.Surveyed // without steps
	broken error            // why it cannot be planned
	filled *referrers.Filled
}

// cell is a range of one landing.
type cell struct{ landing, n int }

// planPart surveys the sources of a part once, and each of its targets, and plans what is passed on first. An error at
// one target becomes a Broken step of that target alone.
func (r *transferring) planPart(ctx context.Context, landings []plan.Landing) *part {
	s := r.begin()
	var targets []ref.Repo
	for _, l := range landings {
		targets = append(targets, l.To)
	}
	for _, from := range landings[0].From {
		s.Aim(from, targets...)
	}
	p := &part{transferring: r}
	var first *landing.Landing
	for _, l := range landings {
		one := &course{filled: &referrers.Filled{},
			plan: landing.Surveyed{Repository: plan.Repository{To: l.To, From: l.From}, Session: s}}
		one.look = landing.NewLanding(r.Scope, l, &one.plan)
		if first != nil {
			one.look.After(first)
		}
		one.broken = one.look.Survey(ctx)
		if first == nil || !first.SawSources() {
			first = one.look
		}
		p.landings = append(p.landings, one)
	}
	p.divide()
	p.first = p.round(ctx, 0)
	return p
}

// divide finds out which ranges there are. If a landing has several, those of a plan follow each other. What is
// applied goes to all targets range by range, so that each image is read once.
func (p *part) divide() {
	most := 1
	counts := make([]int, len(p.landings))
	for i, l := range p.landings {
		if counts[i] = 1; l.broken == nil {
			counts[i] = l.look.Count(p.order)
		}
		most = max(most, counts[i])
	}
	if most > 1 && p.looks {
		for i := range p.landings {
			for n := range counts[i] {
				p.rounds = append(p.rounds, []cell{{i, n}})
			}
		}
		return
	}
	for n := range most {
		var round []cell
		for i := range p.landings {
			if n < counts[i] {
				round = append(round, cell{i, n})
			}
		}
		p.rounds = append(p.rounds, round)
	}
}

// each calls take with each round. The caller has counted the first.
func (p *part) each(ctx context.Context, take func([]landing.Surveyed) error) error {
	for i := range p.rounds {
		some := p.first
		if p.first = nil; i > 0 {
			if ctx.Err() != nil {
				return canceled(ctx, "plan transfer")
			}
			some = p.round(ctx, i)
			p.planned(some)
		}
		if err := take(some); err != nil {
			return err
		}
	}
	return nil
}

// needs reports whether there is something to do. It may plan all ranges.
func (p *part) needs(ctx context.Context) bool {
	if slices.ContainsFunc(p.first, landing.Surveyed.Needs) {
		return true
	}
	for i := 1; i < len(p.rounds) && ctx.Err() == nil; i++ {
		for _, c := range p.rounds[i] {
			l := p.landings[c.landing]
			if steps, err := l.look.Plan(ctx, p.order, c.n); err == nil && slices.ContainsFunc(steps, plan.Step.Works) {
				return true
			}
		}
	}
	return false
}

// round plans the ranges of a round.
func (p *part) round(ctx context.Context, i int) (some []landing.Surveyed) {
	for _, c := range p.rounds[i] {
		some = append(some, p.rangeOf(ctx, p.landings[c.landing], c.n))
	}
	return some
}

// rangeOf plans one range of a landing. What the survey noted is told with the first.
func (p *part) rangeOf(ctx context.Context, l *course, n int) landing.Surveyed {
	count, err, steps := 1, l.broken, []plan.Step(nil)
	if err == nil {
		count = l.look.Count(p.order)
		steps, err = l.look.Plan(ctx, p.order, n)
	}
	if err == nil {
		err = admit.Steps(ctx, l.plan.Session, p.report.Verb(), steps)
	}
	if err != nil {
		steps = []plan.Step{brokenStep(l.look, err)}
	}
	if p.looks {
		p.find(ctx, l, steps, count > 1)
	}
	one := l.plan
	if one.Steps, one.More = steps, n+1 < count; count > 1 {
		one.Part, one.Sets = n+1, l.look.Sets
	}
	l.plan.Explains, l.plan.Notes, l.plan.Empty, l.plan.Skipped = nil, nil, nil, nil
	return one
}

// find adds to the steps of a plan that is only shown what travels with their images.
func (p *part) find(ctx context.Context, l *course, steps []plan.Step, ranges bool) {
	if ranges && l.filled.Own == nil {
		l.filled.Own = l.look.Sets
	}
	of := plan.Plan{Referrers: p.req.Referrers, Overwrite: p.req.Overwrite, Steps: steps}
	referrers.FillRange(ctx, l.plan.Session, of, l.filled)
	for _, step := range steps {
		p.report.Found(step.Brings())
	}
}

// joined combines the plans of a round into one plan. An image that goes to several targets is then
// one task, and is read once.
func joined(round []landing.Surveyed) landing.Surveyed {
	all := round[0]
	all.Steps = slices.Clone(all.Steps)
	for _, p := range round[1:] {
		all.Steps = append(all.Steps, p.Steps...)
		all.More = all.More || p.More
	}
	return all
}

// planned counts the plans of a range.
func (r *transferring) planned(some []landing.Surveyed) {
	r.counting.Lock()
	defer r.counting.Unlock()
	for _, p := range some {
		r.trims.Add(p.Steps)
		r.running.addSurveyed(p.From, p.Steps)
		r.explain(p.Explains...)
		r.report.Planned(p.To, p.Steps, p.Notes)
		r.report.LeftOut(p.Empty, p.Skipped)
	}
}
