package dray

import (
	"context"
	"time"

	"github.com/drayage/dray/plan"
)

// apply does what one repository's plan says, and tells how it ended.
func (r *transferring) apply(ctx context.Context, p RepositoryPlan) error {
	return r.applyChecked(ctx, p, nil)
}

// applyChecked is apply for steps of which some turned out to have moved.
func (r *transferring) applyChecked(ctx context.Context, p RepositoryPlan, moved map[int]error) error {
	defer p.session.release()
	began := time.Now()
	work := &run{session: p.session, turn: r.turn, reports: make([]StepReport, len(p.Steps)),
		plan: &Plan{Plan: plan.Plan{Verb: r.report.verb(), Overwrite: r.req.Overwrite, Hold: r.hold, Steps: p.Steps}, Proof: r.req.Proof, session: p.session}}
	for i, s := range p.Steps {
		work.reports[i] = StepReport{Step: s, State: NotStarted}
	}
	for i, s := range p.Steps {
		if err := moved[i]; err != nil {
			work.end(i, Failed, err)
		} else {
			work.settled(i, s)
		}
	}
	if r.hold != plan.All || work.firstErr() == nil {
		work.work(ctx, cap(r.images))
	}
	report := RepositoryReport{To: p.To, From: p.From, Steps: work.reports, Took: time.Since(began)}
	r.report.done(report)
	r.telling.Lock()
	defer r.telling.Unlock()
	return r.visit(report)
}
