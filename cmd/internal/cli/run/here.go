package run

import (
	"context"
	"errors"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/plan"
)

// here carries out verbs in this process. It is a Place.
type here struct{ *dray.Dray }

func (h here) names(context.Context) (*dray.Dray, error) { return h.Dray, nil }

func (h here) close() { h.Close() }

func (h here) plan(ctx context.Context, w Writing, s *out.Story) (plan.Plan, error) {
	p, err := h.planned(ctx, w, s)
	if err != nil {
		return plan.Plan{}, err
	}
	return app.Patiently(ctx, app.Grace, func() (plan.Plan, error) {
		err := h.FindReferrers(ctx, p)
		return p.Plan, err
	})
}

func (h here) planned(ctx context.Context, w Writing, s *out.Story) (*dray.Prepared, error) {
	p, err := app.Patiently(ctx, app.Grace, func() (*dray.Prepared, error) { return w.Plan(ctx, h.Dray, s.Observe) })
	if err != nil {
		return nil, err
	}
	p.Notes = append(p.Notes, w.notes(p.Steps)...)
	for _, note := range p.Notes {
		s.Note(note)
	}
	return p, nil
}

func (h here) write(ctx context.Context, w Writing, s *out.Story) (*plan.Plan, dray.Report, error) {
	p, err := h.planned(ctx, w, s)
	if err != nil {
		return nil, dray.Report{}, err
	}
	s.Steps(len(p.Steps))
	r, err := app.Patiently(ctx, app.Grace, func() (dray.Report, error) { return h.Apply(ctx, p, s.Observe) })
	if errors.Is(err, out.ErrInterrupted) {
		r = s.Report(p.Plan)
	}
	return &p.Plan, r, err
}

func (h here) planEach(
	ctx context.Context, w Streaming, s *out.Story, begin func(plan.Plan), visit func(dray.RepositoryPlan) error,
) (dray.TransferReport, error) {
	head := w.head()
	head.Referrers, head.Platforms = h.Choices(head.Referrers, head.Platforms)
	begin(head)
	return app.Patiently(ctx, app.Grace, func() (dray.TransferReport, error) {
		return w.Plan(ctx, h.Dray, s.Observe, s, visit)
	})
}

func (h here) runEach(
	ctx context.Context, w Streaming, s *out.Story, visit func(dray.RepositoryReport) error,
) (dray.TransferReport, error) {
	return app.Patiently(ctx, app.Grace, func() (dray.TransferReport, error) {
		return w.Run(ctx, h.Dray, s.Observe, s, visit)
	})
}

func (h here) verify(
	ctx context.Context, w Verifying, s *out.Story, visit func(dray.VerifyEntry) error,
) (dray.Receipt, error) {
	return app.Patiently(ctx, app.Grace, func() (dray.Receipt, error) {
		return w.Run(ctx, h.Dray, s.Observe, s, visit)
	})
}
