package migrate

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/admit"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Plan calls visit with the plan of each target repository.
func Plan(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
	visit func(plan.Repository) error,
) (report.Transfer, error) {
	r := newTransferring(b, names, req, obs)
	r.looks = true
	if err := r.checkHeal(); err != nil {
		return r.endPlan(err)
	}
	err := r.planAll(ctx, func(_ context.Context, part []survey.Surveyed) error {
		for _, p := range part {
			if err := visit(p.Repository); err != nil {
				return err
			}
		}
		return nil
	})
	return r.endPlan(err)
}

// Transfer plans as Plan does, applies the plans, and calls visit with each target repository when
// it is done.
func Transfer(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
	visit func(report.Repository) error,
) (report.Transfer, error) {
	r := newTransferring(b, names, req, obs)
	r.visit = visit
	w := crew.NewWorkers(ctx, r.images.Count())
	err := r.planAll(w.Ctx, func(_ context.Context, part []survey.Surveyed) error {
		return w.Start(func(ctx context.Context) error { return r.apply(ctx, joined(part)) })
	})
	err = cmp.Or(w.Wait(), err)
	if ctx.Err() != nil {
		err = canceled(ctx, "transfer")
	}
	return r.end(ctx, err)
}

// errEnough ends the planning at Selection.MaxRepositories.
var errEnough = errors.New("enough")

// planAll plans each landing and passes the plans on in the order of the landings. Plans with the
// same sources are passed on together.
func (r *transferring) planAll(ctx context.Context, take func(context.Context, []survey.Surveyed) error) error {
	landings, err := r.begun(ctx)
	if err != nil {
		return err
	}
	needing := 0
	passOn := func(ctx context.Context, part []survey.Surveyed) error {
		if ctx.Err() != nil {
			return canceled(ctx, "plan transfer")
		}
		if most := r.req.Selection.MaxRepositories; most > 0 && slices.ContainsFunc(part, survey.Surveyed.Needs) {
			if needing++; needing > most {
				r.report.notef("more than the %d repositories of %s need work: "+
					"the rest is left for another run", most, r.Base.Words.MaxRepositories())
				return errEnough
			}
		}
		for _, p := range part {
			r.trims.Add(p.Steps)
			r.running.addSurveyed(p.From, p.Steps)
			r.explain(p.Explains...)
			r.report.planned(p.Steps, p.Notes)
			r.report.leftOut(p.Empty, p.Skipped)
		}
		return take(ctx, part)
	}
	err = crew.InOrder(ctx, r.Base.Files.AtOnce(maxPlanning), together(landings), r.planPart, passOn)
	if !r.divided {
		r.noteTrims()
	}
	switch {
	case errors.Is(err, errEnough):
		err = nil
	case err == nil && !r.divided: // all sources were looked at
		r.idleTags()
		err = r.checkMatches()
	}
	if err == nil {
		r.complete = true
		r.report.sum.InUse = r.running.end()
	}
	return err
}

// begun finds the landings, and checks what concerns all of them. A part has its landings, and was checked with the
// others.
func (r *transferring) begun(ctx context.Context) ([]plan.Landing, error) {
	if err := cmp.Or(survey.CheckRules(r.rules()), r.checkIncremental()); err != nil {
		return nil, err
	}
	if r.part != nil {
		r.trackOwn(r.part)
		return r.part, r.ofPart()
	}
	landings, err := r.landings(ctx)
	if err == nil {
		err = cmp.Or(r.checkLocking(landings), r.trackInUse())
	}
	if err == nil {
		err = r.checkCollisions(ctx, landings)
	}
	return landings, err
}

// noteTrims notes how many names get a part of an image.
func (r *transferring) noteTrims() {
	for _, note := range r.trims.Notes() {
		r.report.notef("%s", note)
	}
}

// planPart surveys the sources of a part once, and each of its targets. An error at one target
// becomes a Broken step of that target alone.
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
		err := look.Plan(ctx)
		if err == nil {
			err = admit.Steps(ctx, s, r.report.verb(), p.Steps)
		}
		if err != nil {
			p.Steps = []plan.Step{brokenStep(look, err)}
		}
		if r.looks {
			r.find(ctx, s, p.Steps)
		}
		if first == nil || !first.SawSources() {
			first = look
		}
		plans[i] = p
	}
	return plans
}

// find adds to the steps of a plan that is only shown what travels with their images.
func (r *transferring) find(ctx context.Context, s *place.Session, steps []plan.Step) {
	referrers.Fill(ctx, s, plan.Plan{Referrers: r.req.Referrers, Overwrite: r.req.Overwrite, Steps: steps})
	for _, step := range steps {
		r.report.found(step.Brings())
	}
}

// joined combines the plans of a part into one plan. An image that goes to several targets is then
// one task, and is read once.
func joined(part []survey.Surveyed) survey.Surveyed {
	all := part[0]
	all.Steps = slices.Clone(all.Steps)
	for _, p := range part[1:] {
		all.Steps = append(all.Steps, p.Steps...)
	}
	return all
}
