package migrate

import (
	"context"
	"slices"
	"time"

	"github.com/drayage/dray/internal/apply"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/survey/landing"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// apply applies the plan of one target repository or a range of it, and reports the result.
func (r *transferring) apply(ctx context.Context, p landing.Surveyed, done *applied) error {
	return r.applyChecked(ctx, p, nil, done)
}

// applyChecked is apply for steps of which some must not be applied, since their names moved.
func (r *transferring) applyChecked(ctx context.Context, p landing.Surveyed, moved map[int]error, done *applied) error {
	defer p.Session.Release()
	began := time.Now()
	work := apply.NewRun(r.Base, p.Session, &plan.Plan{
		Verb:      r.report.Verb(),
		Overwrite: r.req.Overwrite,
		Hold:      r.hold,
		Referrers: r.req.Referrers,
		Steps:     p.Steps,
	}, r.req.Proof)
	work.Turn, work.Sets = r.images.Acquire, p.Sets
	if p.Sets != nil {
		work.Earlier = &done.referred
	}
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
	done.failed = done.failed || slices.ContainsFunc(work.Reports, report.Step.Left)
	if p.Mark != nil && !p.More && !done.failed {
		r.rememberMark(p.Mark)
	}
	r.visiting.Lock()
	defer r.visiting.Unlock()
	for _, steps := range crew.By(work.Reports, func(s report.Step) ref.Repo { return s.To.Repo }) {
		rep := report.Repository{To: steps[0].To.Repo, From: sourcesOf(steps), Steps: steps, More: p.More}
		r.rememberApplied(rep.To, steps, done)
		if done.parts[rep.To] == 0 {
			done.began[rep.To] = began
		}
		if done.parts[rep.To]++; rep.More || done.parts[rep.To] > 1 {
			rep.Part = done.parts[rep.To]
		}
		rep.Took = time.Since(done.began[rep.To])
		r.report.Done(rep)
		if err := r.visit(rep); err != nil {
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
