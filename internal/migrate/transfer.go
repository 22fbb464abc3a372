package migrate

import (
	"cmp"
	"context"
	"errors"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/survey/landing"
	"github.com/drayage/dray/internal/survey/listing"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// Plan calls visit with the plan of each target repository, a large one in several parts.
func Plan(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
	visit func(plan.Repository) error,
) (report.Transfer, error) {
	r := newTransferring(b, names, req, obs)
	r.looks, r.order = true, listing.ByName
	if err := r.checkHeal(); err != nil {
		return r.endPlan(err)
	}
	err := r.planAll(ctx, func(ctx context.Context, p *part) error {
		return p.each(ctx, func(some []landing.Surveyed) error {
			for _, p := range some {
				if err := visit(p.Repository); err != nil {
					return err
				}
			}
			return nil
		})
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
	r.visit, r.order = visit, listing.ByImage
	w := crew.NewWorkers(ctx, r.images.Count())
	err := r.planAll(w.Ctx, func(_ context.Context, p *part) error {
		return w.Start(func(ctx context.Context) error {
			done := newApplied()
			return p.each(ctx, func(some []landing.Surveyed) error { return r.apply(ctx, joined(some), done) })
		})
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
func (r *transferring) planAll(ctx context.Context, take func(context.Context, *part) error) error {
	landings, err := r.begun(ctx)
	if err != nil {
		return err
	}
	needing := 0
	passOn := func(ctx context.Context, p *part) error {
		if ctx.Err() != nil {
			return canceled(ctx, "plan transfer")
		}
		if most := r.req.Selection.MaxRepositories; most > 0 && p.needs(ctx) {
			if needing++; needing > most {
				r.report.Notef("more than the %d repositories of %s need work: "+
					"the rest is left for another run", most, r.Base.Words.MaxRepositories())
				return errEnough
			}
		}
		r.planned(p.first)
		return take(ctx, p)
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
		r.report.Sum.InUse = r.running.end()
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
		r.report.Notef("%s", note)
	}
}
