package verb

import (
	"context"
	"fmt"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// maxReportSteps is the maximum number of steps that a report lists. The items of the job have every step.
const maxReportSteps = 1000

// applyAll carries out a plan whose steps are all in memory.
func (w *work) applyAll(ctx context.Context, p *dray.Prepared) (any, error) {
	rep, err := w.applySteps(ctx, p)
	return bounded(rep, len(rep.Steps)), err
}

// applySteps carries out a plan whose steps are all in memory, and stores them as items.
func (w *work) applySteps(ctx context.Context, p *dray.Prepared) (dray.Report, error) {
	for _, note := range p.Notes {
		w.run.Log("note: " + note)
	}
	w.tally.Steps(len(p.Steps))
	rep, err := w.dray.Apply(ctx, p, w.observe)
	if e := w.finished(ctx, rep.Steps); err == nil {
		err = e
	}
	if p.Hold == plan.All && w.bad > 0 && (len(p.Conflicts()) > 0 || broken(p.Steps)) {
		w.good = 0 // With plan.All nothing was written, so a name that was up to date before is no success.
	}
	return rep, err
}

// bounded returns rep, without its n steps if they are too many.
func bounded(rep dray.Report, n int) any {
	if n <= maxReportSteps {
		return rep
	}
	return struct {
		dray.Report
		Steps   []dray.StepReport `json:"steps"`
		LeftOut int               `json:"stepsLeftOut"` // the job's items have these steps
	}{rep, nil, n}
}

func broken(steps []plan.Step) bool {
	for _, s := range steps {
		if s.Impossible() {
			return true
		}
	}
	return false
}

func (w *work) apply(ctx context.Context, r wire.Apply) (any, error) {
	in, err := w.openPlan(ctx, r.Plan)
	if err != nil {
		return nil, err
	}
	req := dray.PlanFileRequest{
		Plan: in, Follow: r.Follow,
		SourceLogin: loginOf(r.SourceLogin), TargetLogin: loginOf(r.TargetLogin),
	}
	if req.Gate, err = w.gate(r.Gates); err != nil {
		return nil, err
	}
	return w.dray.ApplyFile(ctx, req, w.observe, w.repository(ctx))
}

// transferRequest returns the request of a job that is a transfer.
func (w *work) transferRequest() (dray.TransferRequest, error) {
	req, err := buildTransfer(*w.row.Transfer, w.at)
	if err == nil {
		req.Gate, err = w.gate(w.row.Transfer.Gates)
	}
	return req, err
}

// verifyRequest returns the request of a job that is a verification.
func (w *work) verifyRequest() (dray.VerifyRequest, error) {
	req, err := buildVerify(*w.row.Verify, w.at)
	// The receipt names the authenticated principal first. What a request says about its author is not
	// verified, so it is added and does not replace the principal.
	by := w.run.Job.Principal
	if req.By != "" && req.By != by {
		by += ", for " + req.By
	}
	req.Tool, req.By = w.tool, by
	return req, err
}

func (w *work) verify(ctx context.Context, req dray.VerifyRequest) (dray.Receipt, error) {
	return w.dray.Verify(ctx, req, w.observe, func(e dray.VerifyEntry) error {
		w.tally.Planned(1)
		if e.Match == dray.Same && !e.Healed {
			w.good++
			return nil
		}
		switch {
		case e.Err != nil:
			w.failed(e.Err)
		case e.Match != dray.Same:
			w.failed(&fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: wire.KindVerify, Name: e.To.String(),
				Err: fmt.Errorf("the target differs from the source: %s", e.Match)})
		default:
			w.good++
		}
		return w.item(ctx, e)
	})
}

// receipt returns a receipt as the report of a job; nil for a request that is not valid.
func (w *work) receipt(rec dray.Receipt, err error) (any, error) {
	if rec.When.IsZero() {
		return nil, err
	}
	return rec, err
}

// lost counts images that are in use but exist in none of the sources as a failure of the job.
func (w *work) lost(rep dray.TransferReport, err error) (any, error) {
	if rep.InUse != nil && len(rep.InUse.Lost) > 0 {
		w.failed(&fault.Fault{Kind: fault.NotFound, Side: fault.Source, Op: wire.KindTransfer,
			Err: fmt.Errorf("%d images in use were found in no source; the report lists them", len(rep.InUse.Lost))})
	}
	return rep, err
}
