package verb

import (
	"context"
	"fmt"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// mostSteps is how many steps a report repeats; all of them are items.
const mostSteps = 1000

// applyAll carries out a plan that is held at once.
func (w *work) applyAll(ctx context.Context, p *dray.Prepared) (any, error) {
	for _, note := range p.Notes {
		w.run.Log("note: " + note)
	}
	w.tally.steps(len(p.Steps))
	rep, err := w.dray.Apply(ctx, p, w.observe)
	if e := w.finished(ctx, rep.Steps); err == nil {
		err = e
	}
	if p.Hold == plan.All && w.bad > 0 && (len(p.Conflicts()) > 0 || broken(p.Steps)) {
		w.good = 0 // nothing was touched, also where another target was right before
	}
	if len(rep.Steps) > mostSteps {
		return struct {
			dray.Report
			Steps   []dray.StepReport `json:"steps"`
			LeftOut int               `json:"stepsLeftOut"` // they are items
		}{rep, nil, len(rep.Steps)}, err
	}
	return rep, err
}

func broken(steps []plan.Step) bool {
	for _, s := range steps {
		if s.Action == plan.Broken {
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
	req := dray.PlanFileRequest{Plan: in, Follow: r.Follow, SourceLogin: loginOf(r.SourceLogin), TargetLogin: loginOf(r.TargetLogin)}
	return w.dray.ApplyFile(ctx, req, w.observe, func(rep dray.RepositoryReport) error { return w.finished(ctx, rep.Steps) })
}

func (w *work) verify(ctx context.Context, r wire.Verify) (any, error) {
	req, err := buildVerify(r, w.at)
	if err != nil {
		return nil, err
	}
	// What somebody says of themselves is beside what the server knows, not in its place.
	by := w.run.Job.Principal
	if req.By != "" && req.By != by {
		by += ", for " + req.By
	}
	req.Tool, req.By = w.tool, by
	receipt, err := w.dray.Verify(ctx, req, w.observe, func(e dray.VerifyEntry) error {
		w.tally.planned(1)
		if e.Match == dray.Same && !e.Healed {
			w.good++
			return nil
		}
		switch {
		case e.Err != nil:
			w.failed(e.Err)
		case e.Match != dray.Same:
			w.failed(&fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: wire.KindVerify, Name: e.To.String(), Err: fmt.Errorf("it is not what the source has: %s", e.Match)})
		default:
			w.good++
		}
		return w.item(ctx, e)
	})
	if receipt.When.IsZero() {
		return nil, err
	}
	return receipt, err
}

// lost counts images that run somewhere and are nowhere to be found as a failure.
func (w *work) lost(rep dray.TransferReport, err error) (any, error) {
	if rep.InUse != nil && len(rep.InUse.Lost) > 0 {
		w.failed(&fault.Fault{Kind: fault.NotFound, Side: fault.Source, Op: wire.KindTransfer, Err: fmt.Errorf("%d images that are in use are lost; the report names them", len(rep.InUse.Lost))})
	}
	return rep, err
}
