package migrate

import (
	"context"
	"time"

	"github.com/drayage/dray/internal/apply"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// apply applies the plan of one target repository, and reports the result.
func (r *transferring) apply(ctx context.Context, p survey.Surveyed) error {
	return r.applyChecked(ctx, p, nil)
}

// applyChecked is apply for steps of which some must not be applied, since their names moved.
func (r *transferring) applyChecked(ctx context.Context, p survey.Surveyed, moved map[int]error) error {
	defer p.Session.Release()
	began := time.Now()
	work := apply.NewRun(r.Base, p.Session, &plan.Plan{
		Verb:      r.report.verb(),
		Overwrite: r.req.Overwrite,
		Hold:      r.hold,
		Referrers: r.req.Referrers,
		Steps:     p.Steps,
	}, r.req.Proof)
	work.Turn = r.images.Acquire
	if err := work.Admit(ctx); err != nil {
		return nil //nolint:nilerr // the run was canceled: steps that were not started are not reported
	}
	for i, s := range p.Steps {
		if err := moved[i]; err != nil {
			work.End(i, report.Failed, err)
		} else {
			work.Settled(i, s)
		}
	}
	if r.hold != plan.All || work.FirstErr() == nil {
		work.Work(ctx, r.images.Count())
		r.heal(ctx, p.From, work)
		work.Lock(ctx)
	}
	r.rememberMark(p.Mark, work.Reports)
	r.visiting.Lock()
	defer r.visiting.Unlock()
	for _, steps := range crew.By(work.Reports, func(s report.Step) ref.Repo { return s.To.Repo }) {
		r.rememberApplied(steps[0].To.Repo, steps)
		report := report.Repository{To: steps[0].To.Repo, From: sourcesOf(steps), Steps: steps, Took: time.Since(began)}
		r.report.done(report)
		if err := r.visit(report); err != nil {
			return err
		}
	}
	return nil
}

// sourcesOf lists the source repositories of steps, each once.
func sourcesOf(steps []report.Step) []ref.Repo {
	var from []ref.Repo
	known := map[ref.Repo]bool{}
	for _, s := range steps {
		if !known[s.From.Repo] {
			known[s.From.Repo] = true
			from = append(from, s.From.Repo)
		}
	}
	return from
}
