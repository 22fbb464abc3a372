package verb

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

type planReport = wire.PlanReport[dray.TransferReport]

// headerOf is the first line of p's file.
func headerOf(p plan.Plan) (json.RawMessage, error) {
	var line bytes.Buffer
	w, err := plan.NewWriter(&line, p)
	if err == nil {
		err = w.Flush()
	}
	return bytes.TrimSpace(line.Bytes()), err
}

// lineOf is a step as a line of a plan's file.
func lineOf(s plan.Step) (json.RawMessage, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(s)
	return bytes.TrimSpace(line.Bytes()), err
}

// plan returns the job of a plan that p may see and that can be carried out.
func (s *Service) plan(ctx context.Context, p access.Principal, id string) (job.Job, error) {
	j, err := s.Visible(ctx, p, id)
	if err != nil {
		return job.Job{}, err
	}
	no := func(kind fault.Kind, cause, hint string) error {
		return &fault.Fault{Kind: kind, Op: "get plan", Name: id, Err: errors.New(cause), Hint: hint}
	}
	switch {
	case j.Kind != wire.KindPlan:
		return job.Job{}, no(fault.NotFound, "that job is no plan but a job of "+j.Kind, "")
	case !j.State.Ended():
		return job.Job{}, no(fault.Conflict, "it is not made yet: "+string(j.State), "wait for its end")
	case j.State != job.Done && j.State != job.Partly:
		return job.Job{}, no(fault.Conflict, "it could not be made: "+string(j.State), "the job says why")
	}
	return j, nil
}

// Plan returns the file of a plan that p may see, JSON Lines as plan.Plan.Write writes them.
func (s *Service) Plan(ctx context.Context, p access.Principal, id string) (io.Reader, error) {
	if _, err := s.plan(ctx, p, id); err != nil {
		return nil, err
	}
	return s.planFile(ctx, id)
}

func (s *Service) planFile(ctx context.Context, id string) (io.Reader, error) {
	raw, err := s.queue.Report(ctx, id)
	if err != nil {
		return nil, err
	}
	var report planReport
	if err := json.Unmarshal(raw, &report); err != nil || len(report.Header) == 0 {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "read plan", Name: id, Err: errors.New("it has no header")}
	}
	f := &planFile{next: func(after int64) ([]job.Item, error) { return s.queue.Items(ctx, id, after, 0) }}
	f.add(report.Header)
	return f, nil
}

// openPlan reads a plan's steps.
func (s *Service) openPlan(ctx context.Context, id string) (*plan.Reader, error) {
	f, err := s.planFile(ctx, id)
	if err != nil {
		return nil, err
	}
	return plan.NewReader(f)
}

// next is in.Next with its end as a value.
func next(in *plan.Reader) (step plan.Step, end bool, err error) {
	step, err = in.Next()
	if errors.Is(err, io.EOF) {
		return step, true, nil
	}
	return step, false, err
}

// planFile reads the lines of a plan page by page.
type planFile struct {
	next  func(after int64) ([]job.Item, error)
	after int64
	lines bytes.Buffer
	end   bool
}

func (f *planFile) add(line []byte) {
	f.lines.Write(line)
	f.lines.WriteByte('\n')
}

func (f *planFile) Read(p []byte) (int, error) {
	for f.lines.Len() == 0 {
		if f.end {
			return 0, io.EOF
		}
		items, err := f.next(f.after)
		if err != nil {
			return 0, err
		}
		for _, it := range items {
			f.add(it.Data)
			f.after = it.Seq
		}
		if f.end = len(items) == 0; f.end {
			f.add([]byte(plan.End))
		}
	}
	return f.lines.Read(p)
}

// upload keeps the plan that came with the request.
func (w *work) upload(ctx context.Context, file []byte) (planReport, error) {
	in, err := plan.NewReader(bytes.NewReader(file))
	if err != nil {
		return planReport{}, err
	}
	sum := dray.TransferReport{Verb: in.Header().Verb, Actions: map[plan.Action]int{}, Traffic: map[string]dray.Traffic{}, Notes: in.Header().Notes}
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

// planned keeps a step of a plan.
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
		w.failed(&fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: wire.KindPlan, Name: step.To.String(), Err: errors.New("it exists with another digest")})
	case plan.Broken:
		w.failed(step.Problem.Err())
	default:
		w.good++
	}
	return w.run.Item(ctx, line)
}

// plan makes the plan of a verb.
func (w *work) plan(ctx context.Context, r wire.Plan) (planReport, error) {
	of := r.Of()
	if of.Kind == wire.KindTransfer {
		req, err := buildTransfer(*of.Transfer, w.at)
		if err != nil {
			return planReport{}, err
		}
		sum, err := w.dray.PlanTransfer(ctx, req, w.observe, func(p dray.RepositoryPlan) error {
			w.tally.planned(len(p.Steps))
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
		head, err := headerOf(plan.Plan{Verb: wire.KindTransfer, Overwrite: cmp.Or(req.Overwrite, plan.Update), Hold: plan.Each, Backup: req.Backup, Notes: sum.Notes})
		return planReport{Header: head, Summary: sum}, err
	}
	p, err := w.planOne(ctx, of)
	if err != nil {
		return planReport{}, err
	}
	sum := dray.TransferReport{Verb: p.Verb, Actions: map[plan.Action]int{}, Traffic: map[string]dray.Traffic{}, Notes: p.Notes}
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

// planOne plans a verb whose steps are held at once.
func (w *work) planOne(ctx context.Context, r wire.Request) (*dray.Plan, error) {
	switch r.Kind {
	case wire.KindImport:
		req, err := buildImport(*r.Import, w.at)
		if err != nil {
			return nil, err
		}
		return w.dray.PlanImport(ctx, req, w.observe)
	case wire.KindCopy:
		req, err := buildCopy(*r.Copy, w.at)
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
	return w.dray.PlanBatch(ctx, buildBatch(*r.Batch, w.at), w.observe)
}
