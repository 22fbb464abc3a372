package verb

import (
	"bytes"
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

// Plan returns the file of the plan that job id made, in the JSON Lines format of plan.Plan.Write. The
// error is NotFound if p may not see the job or the job is no plan, and Conflict if the plan is not
// ready or could not be made.
func (s *Service) Plan(ctx context.Context, p access.Principal, id string) (io.Reader, error) {
	if err := s.checkPlan(ctx, p, id); err != nil {
		return nil, err
	}
	return s.planFile(ctx, id)
}

// checkPlan checks that p may see the job that made a plan, and that the plan can be carried out.
func (s *Service) checkPlan(ctx context.Context, p access.Principal, id string) error {
	j, err := s.Visible(ctx, p, id)
	if err != nil {
		return err
	}
	no := func(kind fault.Kind, cause, hint string) error {
		return &fault.Fault{Kind: kind, Op: "get plan", Name: id, Err: errors.New(cause), Hint: hint}
	}
	switch {
	case j.Kind != wire.KindPlan:
		return no(fault.NotFound, "the job is not a plan but has the kind "+j.Kind, "")
	case !j.State.Ended():
		return no(fault.Conflict, "the plan is not ready: its job is "+string(j.State), "wait until the job has ended")
	case j.State != job.Done && j.State != job.Partly:
		return no(fault.Conflict, "the plan could not be made: its job is "+string(j.State), "see the job for the reason")
	}
	return nil
}

func (s *Service) planFile(ctx context.Context, id string) (io.Reader, error) {
	raw, err := s.queue.Report(ctx, id)
	if err != nil {
		return nil, err
	}
	var report planReport
	if err := json.Unmarshal(raw, &report); err != nil || len(report.Header) == 0 {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "read plan", Name: id,
			Err: errors.New("the stored plan has no header")}
	}
	f := &planFile{next: func(after int64) ([]job.Item, error) { return s.queue.Items(ctx, id, after, 0) }}
	f.add(report.Header)
	return f, nil
}

type planReport = wire.PlanReport[dray.TransferReport]

// openPlan returns a reader of the steps of the plan that job id made.
func (s *Service) openPlan(ctx context.Context, id string) (*plan.Reader, error) {
	f, err := s.planFile(ctx, id)
	if err != nil {
		return nil, err
	}
	return plan.NewReader(f)
}

// planFile is an io.Reader of a plan's file. It reads the job's items page by page, so a plan may be
// larger than memory.
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

// next returns the next step of in. At the end of the plan, end is true and err is nil.
func next(in *plan.Reader) (step plan.Step, end bool, err error) {
	step, err = in.Next()
	if errors.Is(err, io.EOF) {
		return step, true, nil
	}
	return step, false, err
}
