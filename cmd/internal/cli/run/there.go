package run

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

func (t *There) write(ctx context.Context, w Writing, s *out.Story) (*plan.Plan, dray.Report, error) {
	if err := t.follow(ctx, s, nil); err != nil {
		return nil, dray.Report{}, err
	}
	var r struct {
		dray.Report
		LeftOut int `json:"stepsLeftOut"`
	}
	there, err := t.report(ctx, &r)
	if err == nil && !there {
		err = FailureOf(t.Job)
	}
	if err == nil && r.LeftOut > 0 {
		r.Steps = nil
		err = t.Client.Items(ctx, t.Job.ID, func(it wire.Item) error {
			var step dray.StepReport
			err := json.Unmarshal(it.Data, &step)
			r.Steps = append(r.Steps, step)
			return err
		})
	}
	if err != nil {
		return nil, dray.Report{}, err
	}
	p := &plan.Plan{Verb: r.Verb, Hold: w.Hold, Notes: r.Notes}
	for _, step := range r.Steps {
		p.Steps = append(p.Steps, step.Step)
	}
	r.Notes = append(r.Notes, w.notes(p.Steps)...)
	for _, n := range r.Notes {
		s.Note(n)
	}
	if err := r.Err(); err != nil && t.Job.State != wire.Canceled {
		return p, r.Report, err
	}
	return p, r.Report, FailureOf(t.Job)
}

func (t *There) plan(ctx context.Context, w Writing, s *out.Story) (plan.Plan, error) {
	if err := t.follow(ctx, s, nil); err != nil {
		return plan.Plan{}, err
	}
	var head plan.Plan
	sum, err := t.planReport(ctx)
	if err != nil {
		return head, err
	}
	head = sum.header
	err = t.Client.Items(ctx, t.Job.ID, func(it wire.Item) error {
		var step plan.Step
		err := json.Unmarshal(it.Data, &step)
		head.Steps = append(head.Steps, step)
		return err
	})
	head.Notes = append(head.Notes, w.notes(head.Steps)...)
	for _, n := range head.Notes {
		s.Note(n)
	}
	return head, err
}

// planReport returns the report of a plan that was made, even if some of its steps cannot be done.
func (t *There) planReport(ctx context.Context) (out struct {
	header  plan.Plan
	summary dray.TransferReport
}, err error) {
	var r wire.PlanReport[dray.TransferReport]
	made, err := t.report(ctx, &r)
	if err == nil && (!made || len(r.Header) == 0 || string(r.Header) == "null") {
		err = FailureOf(t.Job)
	}
	if err != nil {
		return out, err
	}
	if out.header, err = readHeader(r.Header); err != nil {
		return out, err
	}
	out.summary = r.Summary
	return out, nil
}

// planEach reads the plan when it is made: only then does the server say what comes before the steps.
func (t *There) planEach(
	ctx context.Context, _ Streaming, s *out.Story, begin func(plan.Plan), visit func(dray.RepositoryPlan) error,
) (dray.TransferReport, error) {
	if err := t.follow(ctx, s, nil); err != nil {
		return dray.TransferReport{}, err
	}
	made, why := t.planReport(ctx)
	if why == nil {
		begin(made.header)
	}
	g := &gathering[plan.Step]{t: t, to: func(s plan.Step) ref.Repo { return s.To.Repo }}
	g.visit = func(at gathered, steps []plan.Step) error {
		return visit(dray.RepositoryPlan{To: at.to, Steps: steps, Part: at.part, More: at.more})
	}
	err := g.more(ctx)
	if err == nil {
		err = g.end()
	}
	if ctx.Err() != nil {
		err = &leftOn{t.Job, t.gone}
	}
	return made.summary, cmp.Or(err, why)
}

func (t *There) runEach(
	ctx context.Context, _ Streaming, s *out.Story, visit func(dray.RepositoryReport) error,
) (dray.TransferReport, error) {
	failed := false
	repo := func(s dray.StepReport) ref.Repo { return s.To.Repo }
	err := each(ctx, t, s, repo, func(at gathered, steps []dray.StepReport) error {
		for _, s := range steps {
			failed = failed || s.Err != nil
		}
		return visit(dray.RepositoryReport{To: at.to, Steps: steps, Part: at.part, More: at.more})
	})
	var sum dray.TransferReport
	if err != nil {
		return sum, err
	}
	made, err := t.report(ctx, &sum)
	if err == nil && (!made || !failed && sum.InUse == nil || t.Job.State == wire.Canceled) {
		err = FailureOf(t.Job)
	}
	return sum, err
}

func (t *There) verify(
	ctx context.Context, _ Verifying, s *out.Story, visit func(dray.VerifyEntry) error,
) (dray.Receipt, error) {
	repo := func(e dray.VerifyEntry) ref.Repo { return e.To.Repo }
	err := each(ctx, t, s, repo, func(_ gathered, entries []dray.VerifyEntry) error {
		for _, e := range entries {
			if err := visit(e); err != nil {
				return err
			}
		}
		return nil
	})
	var r dray.Receipt
	if err != nil {
		return r, err
	}
	made, err := t.report(ctx, &r)
	if err == nil && (!made || t.Job.State == wire.Canceled || r.Matches[dray.Unproven] == 0 && r.Right()) {
		err = FailureOf(t.Job)
	}
	return r, err
}

// readHeader reads the header, the first line of a plan's file.
func readHeader(line []byte) (plan.Plan, error) {
	in, err := plan.NewReader(bytes.NewReader(append(bytes.Clone(line), '\n')))
	if err != nil {
		return plan.Plan{}, err
	}
	return in.Header(), nil
}
