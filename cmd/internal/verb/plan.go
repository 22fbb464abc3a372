package verb

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// plan makes the plan of a verb and stores its steps as items.
func (w *work) plan(ctx context.Context, r wire.Plan) (planReport, error) {
	of := r.Of()
	if of.Kind == wire.KindTransfer {
		req, err := buildTransfer(*of.Transfer, w.at)
		if err == nil {
			req.Gate, err = w.gate(of.Transfer.Gates)
		}
		if err != nil {
			return planReport{}, err
		}
		sum, err := w.dray.PlanTransfer(ctx, req, w.observe, func(p dray.RepositoryPlan) error {
			w.tally.Planned(len(p.Steps))
			for _, step := range p.Steps {
				if err := w.planned(ctx, nil, step); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return planReport{}, err
		}
		req.Referrers, req.Platforms = w.dray.Choices(req.Referrers, req.Platforms)
		head, err := headerOf(plan.Plan{
			Verb: wire.KindTransfer, Overwrite: cmp.Or(req.Overwrite, plan.Update), Hold: plan.Each,
			Backup: req.Backup, Referrers: req.Referrers, Platforms: req.Platforms, Notes: sum.Notes,
		})
		return planReport{Header: head, Summary: sum}, err
	}
	p, err := w.planOne(ctx, of)
	if err == nil {
		err = w.dray.FindReferrers(ctx, p)
	}
	if err != nil {
		return planReport{}, err
	}
	sum := emptySummary(p.Plan)
	repos := map[string]bool{}
	for _, step := range p.Steps {
		repos[step.To.Repo.String()] = true
		if err := w.planned(ctx, &sum, step); err != nil {
			return planReport{}, err
		}
	}
	sum.Repositories = len(repos)
	head, err := headerOf(p.Plan)
	return planReport{Header: head, Summary: sum}, err
}

// emptySummary returns the summary of p without its steps.
func emptySummary(p plan.Plan) dray.TransferReport {
	return dray.TransferReport{
		Verb: p.Verb, Notes: p.Notes,
		Actions: map[plan.Action]int{}, Traffic: map[string]dray.Traffic{},
	}
}

// upload stores the steps of a plan file that a client has sent as items.
func (w *work) upload(ctx context.Context, file io.Reader) (planReport, error) {
	in, err := plan.NewReader(file)
	if err != nil {
		return planReport{}, err
	}
	sum := emptySummary(in.Header())
	for {
		step, end, err := next(in)
		if err == nil && !end {
			err = w.planned(ctx, &sum, step)
		}
		if err != nil || end {
			head, e := headerOf(in.Header())
			return planReport{Header: head, Summary: sum}, cmp.Or(err, e)
		}
	}
}

// planOne plans a verb whose steps fit into memory: every verb but transfer.
func (w *work) planOne(ctx context.Context, r wire.Request) (*dray.Prepared, error) {
	switch r.Kind {
	case wire.KindImport:
		req, err := buildImport(*r.Import, w.at)
		if err == nil {
			req.Gate, err = w.gate(r.Import.Gates)
		}
		if err != nil {
			return nil, err
		}
		return w.dray.PlanImport(ctx, req, w.observe)
	case wire.KindCopy:
		req, err := buildCopy(*r.Copy, w.at)
		if err == nil {
			req.Gate, err = w.gate(r.Copy.Gates)
		}
		if err != nil {
			return nil, err
		}
		return w.dray.PlanCopy(ctx, req, w.observe)
	case wire.KindTag:
		req, err := buildTag(*r.Tag)
		if err != nil {
			return nil, err
		}
		return w.dray.PlanTag(ctx, req, w.observe)
	}
	req, err := w.batchRequest(*r.Batch)
	if err != nil {
		return nil, err
	}
	return w.dray.PlanBatch(ctx, req, w.observe)
}

func (w *work) batchRequest(r wire.Batch) (dray.BatchRequest, error) {
	req, err := buildBatch(r, w.at)
	if err == nil {
		req.Gate, err = w.gate(r.Gates)
	}
	return req, err
}

// planned stores a step of a plan as an item and counts it. A nil sum is not updated.
func (w *work) planned(ctx context.Context, sum *dray.TransferReport, step plan.Step) error {
	line, err := lineOf(step)
	if err != nil {
		return err
	}
	if sum != nil {
		sum.Actions[step.Action]++
		if step.Retags() {
			sum.Retagged++
		}
	}
	switch step.Action {
	case plan.Conflict:
		w.failed(&fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: wire.KindPlan, Name: step.To.String(),
			Err: errors.New("the tag exists with another digest")})
	case plan.Broken, plan.Refused:
		w.failed(step.Problem.Err())
	default:
		w.good++
	}
	return w.run.Item(ctx, line)
}

// headerOf returns the first line of p's file.
func headerOf(p plan.Plan) (json.RawMessage, error) {
	var line bytes.Buffer
	w, err := plan.NewWriter(&line, p)
	if err == nil {
		err = w.Flush()
	}
	return bytes.TrimSpace(line.Bytes()), err
}

// lineOf returns s as a line of a plan's file.
func lineOf(s plan.Step) (json.RawMessage, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(s)
	return bytes.TrimSpace(line.Bytes()), err
}
