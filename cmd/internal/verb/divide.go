package verb

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/verb/share"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Split divides a transfer, a verification, a batch, or what a retry repeats of a transfer or a batch. Other jobs, and
// those that cannot be divided, are whole.
func (s *Service) Split(
	ctx context.Context, r *job.Run, emit func(part json.RawMessage) error,
) (whole bool, out job.Outcome) {
	w := s.begin(r)
	var undivided atomic.Bool // split may go on after guarded returned
	out = w.guarded(ctx, func(ctx context.Context) job.Outcome {
		if err := w.read(); err != nil {
			return failure(job.Failed, nil, err)
		}
		if !slices.Contains([]string{wire.KindTransfer, wire.KindVerify, wire.KindBatch}, w.row.Kind) {
			undivided.Store(true)
			return job.Outcome{}
		}
		if _, out := w.prepare(ctx); out.State != "" {
			return out
		}
		parts, found, err := w.split(ctx)
		switch {
		case err != nil:
			return w.outcome(ctx, found.Report(), err)
		case len(parts) == 1 && (parts[0].Of == nil || parts[0].Of.Whole):
			undivided.Store(true)
			return job.Outcome{}
		case len(parts) == 0:
			return w.sum(ctx, found, func(func(job.Outcome, error) bool) {})
		}
		parts[0].Found = found
		for _, p := range parts {
			raw, err := json.Marshal(p)
			if err == nil {
				err = emit(raw)
			}
			if err != nil {
				return failure(job.Failed, nil, err)
			}
		}
		return job.Outcome{}
	})
	return undivided.Load() && out.State == "", out
}

// split returns the parts of the job, and what was found meanwhile.
func (w *work) split(ctx context.Context) ([]share.Part, *share.Share, error) {
	switch {
	case w.row.Failed:
		parts, err := w.splitFailed(ctx)
		return parts, nil, err
	case w.row.Kind == wire.KindTransfer:
		req, err := w.transferRequest()
		if err != nil {
			return nil, nil, err
		}
		parts, found, err := w.dray.SplitTransfer(ctx, req, w.observe)
		return share.Of(parts), &share.Share{Transfer: &found}, err
	case w.row.Kind == wire.KindVerify:
		req, err := w.verifyRequest()
		if err != nil {
			return nil, nil, err
		}
		parts, found, err := w.dray.SplitVerify(ctx, req, w.observe)
		return share.Of(parts), &share.Share{Receipt: &found}, err
	}
	req, err := w.batchRequest(*w.row.Batch)
	if err != nil {
		return nil, nil, err
	}
	var parts []share.Part
	for _, p := range w.dray.SplitBatch(req) {
		parts = append(parts, share.Part{Batch: &p, Bare: len(req.Entries) > maxReportSteps})
	}
	return parts, nil, nil
}

// splitFailed divides the failed steps of the job's parent.
func (w *work) splitFailed(ctx context.Context) ([]share.Part, error) {
	whole := []share.Part{{}}
	if w.row.Batch != nil && plan.Hold(w.row.Batch.Hold) == plan.All || w.row.Transfer != nil && w.row.Transfer.Delay > 0 {
		return whole, nil
	}
	failed, err := w.toRepeat(ctx)
	if err != nil {
		return nil, err
	}
	key := func(s share.Step) ref.Repo { return s.To.Repo }
	if w.row.Kind == wire.KindBatch {
		key = func(s share.Step) ref.Repo { return s.From.Repo }
	}
	var parts []share.Part
	for _, some := range share.Divide(failed, key) {
		parts = append(parts, share.Part{Failed: some, Bare: len(failed) > maxReportSteps})
	}
	if len(parts) == 0 {
		return whole, nil
	}
	return parts, nil
}

// Part carries out a part. The report of its outcome is a share.Share.
func (s *Service) Part(ctx context.Context, r *job.Run, raw json.RawMessage) job.Outcome {
	w := s.begin(r)
	return w.guarded(ctx, func(ctx context.Context) job.Outcome {
		if _, out := w.prepare(ctx); out.State != "" {
			return out
		}
		var p share.Part
		if err := json.Unmarshal(raw, &p); err != nil {
			return failure(job.Failed, nil, &fault.Fault{Kind: fault.Internal, Op: "read part of job", Err: err})
		}
		did, err := w.part(ctx, p)
		w.mu.Lock()
		did.Good, did.Bad = w.good, w.bad
		for k := range w.kinds {
			did.Kinds = append(did.Kinds, k)
		}
		if w.first != nil {
			did.First = plan.ProblemOf(w.first)
		}
		w.mu.Unlock()
		return w.outcome(ctx, did, err)
	})
}

// part carries out p.
func (w *work) part(ctx context.Context, p share.Part) (did share.Share, err error) {
	switch {
	case w.row.Kind == wire.KindTransfer && p.Of == nil:
		rep, err := w.againTransfer(ctx, p.Failed)
		did.Transfer = &rep
		return did, err
	case w.row.Kind == wire.KindTransfer:
		req, err := w.transferRequest()
		if err != nil {
			return did, err
		}
		req.Part = p.Of
		rep, err := w.dray.Transfer(ctx, req, w.observe, w.repository(ctx))
		did.Transfer = &rep
		return did, err
	case w.row.Kind == wire.KindVerify:
		req, err := w.verifyRequest()
		if err != nil {
			return did, err
		}
		req.Of.Part = p.Of
		rec, err := w.verify(ctx, req)
		did.Receipt = &rec
		return did, err
	}
	todo, err := w.planPart(ctx, p)
	if err != nil {
		return did, err
	}
	rep, err := w.applySteps(ctx, todo)
	did.Steps = len(rep.Steps)
	if p.Bare {
		rep.Steps = nil
	}
	did.Batch = &rep
	return did, err
}

// planPart plans a part of a batch.
func (w *work) planPart(ctx context.Context, p share.Part) (*dray.Prepared, error) {
	if len(p.Failed) > 0 {
		return w.planAgain(ctx, p.Failed)
	}
	if p.Batch == nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "read part of job", Err: errors.New("it is no part of a batch")}
	}
	req, err := w.batchRequest(*w.row.Batch)
	if err != nil {
		return nil, err
	}
	all := req.Entries
	req.Of, req.Entries = p.Batch.Of, nil
	for _, i := range p.Batch.Entries {
		req.Entries = append(req.Entries, all[i])
	}
	return w.dray.PlanBatch(ctx, req, w.observe)
}

// Sum adds up what became of the parts, and decides what concerns all of them. It does so also if ctx has ended, as
// after a cancel.
func (s *Service) Sum(ctx context.Context, r *job.Run, parts iter.Seq2[job.Outcome, error]) job.Outcome {
	w := s.begin(r)
	return w.guarded(context.WithoutCancel(ctx), func(ctx context.Context) job.Outcome {
		var first share.Part // it also has what was found while the job was divided
		raw, err := s.queue.Part(ctx, r.Job.ID, 1)
		if err == nil {
			err = json.Unmarshal(raw, &first)
		}
		if err = cmp.Or(err, w.read()); err != nil {
			return failure(job.Failed, nil, err)
		}
		return w.sum(ctx, first.Found, parts)
	})
}

func (w *work) sum(ctx context.Context, found *share.Share, parts iter.Seq2[job.Outcome, error]) job.Outcome {
	var t share.Total
	shares := t.Each(found, parts)
	var report any
	var err error
	switch w.row.Kind {
	case wire.KindBatch:
		report, err = w.sumBatch(shares)
	case wire.KindVerify:
		report, err = w.sumVerify(shares)
	default:
		report, err = w.sumTransfer(found, shares)
	}
	w.good, w.bad, w.first = w.good+t.Good, w.bad+t.Bad, cmp.Or(t.First, w.first)
	for k := range t.Kinds {
		w.kinds[k] = true
	}
	w.canceled = t.Canceled || t.Open > 0 && (w.run.CancelRequested() || w.run.Job.CancelRequested)
	if t.Open > 0 || t.Canceled {
		err = cmp.Or(err, stopped(w.row.Kind))
	}
	out := w.outcome(ctx, report, err)
	if t.Lost == 0 || out.State == job.Canceled {
		return out
	}
	why := job.Failure{Kind: fault.Internal}
	if t.Why != nil {
		why = *t.Why
	}
	why.Text = fmt.Sprintf("%d of %d parts failed: %s", t.Lost, t.Parts, why.Text)
	out.State, out.Failure = job.Failed, &why
	if w.good > 0 {
		out.State = job.Partly
	}
	return out
}

func (w *work) sumTransfer(found *share.Share, shares iter.Seq2[share.Share, error]) (any, error) {
	reports := share.Reports(shares, func(s share.Share) *dray.TransferReport { return s.Transfer })
	if found == nil { // each part repeats failed steps, and is a transfer of its own
		sum := dray.TransferReport{Verb: wire.KindTransfer}
		for rep, err := range reports {
			if err != nil {
				return sum, err
			}
			sum.Add(rep)
		}
		sum.Took = w.since()
		return sum, nil
	}
	req, err := w.transferRequest()
	if err != nil {
		return nil, err
	}
	return w.lost(w.dray.SumTransfer(req, reports))
}

func (w *work) sumVerify(shares iter.Seq2[share.Share, error]) (any, error) {
	req, err := w.verifyRequest()
	if err != nil {
		return nil, err
	}
	return w.receipt(w.dray.SumVerify(req, share.Reports(shares, func(s share.Share) *dray.Receipt { return s.Receipt })))
}

func (w *work) sumBatch(shares iter.Seq2[share.Share, error]) (any, error) {
	sum, steps := dray.Report{Verb: wire.KindBatch}, 0
	for s, err := range shares {
		if err != nil {
			return nil, err
		}
		if s.Batch == nil {
			continue
		}
		if steps += s.Steps; steps > maxReportSteps {
			sum.Steps, s.Batch.Steps = nil, nil
		}
		sum.Add(*s.Batch)
	}
	sum.Took = w.since()
	return bounded(sum, steps), nil
}

// since returns the time since the job was first begun.
func (w *work) since() time.Duration {
	if w.run.Job.Started.IsZero() {
		return 0
	}
	return time.Since(w.run.Job.Started)
}
