package migrate

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Split divides a transfer. The report has what was found meanwhile; it is the first one of the Sum.
func Split(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
) ([]report.Part, report.Transfer, error) {
	req.Part = nil
	r := newTransferring(b, names, req, obs)
	r.divided, r.splits = true, true
	whole := req.Delay > 0 || req.Selection.MaxRepositories > 0
	if !whole {
		sources, targets, err := newTransferring(b, names, req, nil).ends()
		if err != nil {
			sum, err := r.endPlan(err)
			return nil, sum, err
		}
		whole = slices.ContainsFunc(append(sources, targets...), name.End.OnDisk)
	}
	return r.split(ctx, whole, r.begun)
}

// SplitVerify divides a verification. The receipt is the first one of the SumVerify.
func SplitVerify(
	ctx context.Context, b *place.Base, names *name.Reader, req VerifyRequest, obs event.Observer,
) ([]report.Part, report.Receipt, error) {
	req.Of.Part = nil
	v, err := newVerifying(b, names, req, obs)
	if err != nil {
		return nil, report.Receipt{}, err
	}
	v.divided, v.splits = true, true
	of := append([]string{req.Of.Target}, slices.Concat(req.Of.Sources, req.Of.Also)...)
	whole := slices.ContainsFunc(of, func(s string) bool { return ref.IsLayout(s) || v.isName(s) })
	parts, _, err := v.split(ctx, whole, v.begun)
	v.receipt.InUse = v.report.Sum.InUse
	receipt, err := v.end(err)
	return parts, receipt, err
}

// split divides what begun finds. whole says that the request cannot be divided.
func (r *transferring) split(
	ctx context.Context, whole bool, begun func(context.Context) ([]plan.Landing, error),
) ([]report.Part, report.Transfer, error) {
	id := rand.Text()
	if whole {
		r.parts = 1
		sum, err := r.endPlan(nil)
		return []report.Part{{Of: id, Whole: true}}, sum, err
	}
	landings, err := begun(ctx)
	if ctx.Err() != nil {
		err = canceled(ctx, "divide")
	}
	if err != nil {
		sum, err := r.endPlan(err)
		return nil, sum, err
	}
	var parts []report.Part
	from := func(l plan.Landing) []ref.Repo { return l.From }
	for _, some := range crew.Parts(crew.Sharing(landings, from)) {
		parts = append(parts, report.Part{Of: id, Landings: some})
	}
	r.running.trackOthers(landings)
	r.report.Sum.InUse = r.running.end()
	r.complete = true
	r.parts = len(parts)
	sum, err := r.endPlan(nil)
	return parts, sum, err
}

// Sum adds the reports of all parts to that of the split, which comes first, and decides what concerns all of them.
func Sum(
	b *place.Base, names *name.Reader, req Request, reports iter.Seq2[report.Transfer, error],
) (report.Transfer, error) {
	req.Part = nil
	r := newTransferring(b, names, req, nil)
	sum := &r.report.Sum
	var a adding
	for rep, err := range reports {
		sum.Add(rep)
		if err = cmp.Or(err, a.add(r, rep.Pending, rep.InUse)); err != nil {
			return *sum, err
		}
	}
	err := a.end(r)
	r.report.End()
	sum.Took = a.ended.Sub(a.began)
	return *sum, cmp.Or(err, a.problem, a.step)
}

// SumVerify is Sum for the receipts of a verification.
func SumVerify(
	b *place.Base, names *name.Reader, req VerifyRequest, receipts iter.Seq2[report.Receipt, error],
) (report.Receipt, error) {
	req.Of.Part = nil
	v, err := newVerifying(b, names, req, nil)
	if err != nil {
		return report.Receipt{}, err
	}
	var a adding
	sum, whole := &v.receipt, oci.Digest("")
	for rep, err := range receipts {
		sum.Add(rep)
		if err = cmp.Or(err, a.add(v.transferring, rep.Pending, rep.InUse)); err != nil {
			return *sum, err
		}
		whole = cmp.Or(whole, rep.Digest)
	}
	err = a.end(v.transferring)
	v.report.Sum.Empty, v.report.Sum.Skipped = sum.Empty, sum.Skipped
	if sum.Names == 0 && err == nil && a.problem == nil && a.step == nil {
		v.report.Notef("there is nothing to compare")
	}
	v.report.End()
	for _, note := range v.report.Sum.Notes {
		sum.Note(note)
	}
	sum.InUse, sum.Took, sum.Digest = v.report.Sum.InUse, a.ended.Sub(a.began), cmp.Or(whole, digestOf(v.digests))
	return *sum, cmp.Or(err, a.problem, a.step)
}

// adding is a sum while parts are added.
type adding struct {
	span
	inUse    *report.InUse
	parts    int   // that there are
	complete int   // that were added, and looked at all of their sources
	problem  error // why the first part ended before its time
	step     error // of the first step that failed
}

// add adds what the report of a part leaves to the sum.
func (a *adding) add(r *transferring, raw json.RawMessage, inUse *report.InUse) error {
	var p pending
	if err := json.Unmarshal(raw, &p); err != nil {
		return &fault.Fault{Kind: fault.Invalid, Op: "add up parts", Err: fmt.Errorf("not the report of a part: %w", err)}
	}
	a.span.add(p)
	switch {
	case p.Split:
		a.parts, r.selected = p.Parts, p.Selected
	case p.Complete:
		a.complete++
	}
	r.AddTags(p.Tags)
	r.trims.Join(p.Trims)
	for repo, d := range p.Digests {
		if r.digests == nil {
			r.digests = map[string]oci.Digest{}
		}
		r.digests[repo] = d
	}
	if a.problem == nil && p.Problem != nil {
		a.problem = p.Problem.Err()
	}
	if p.Step != nil {
		if r.report.Sum.Err == nil {
			r.report.Sum.Err = p.Step.Err() // it was sent as text
		}
		if !p.Plans {
			a.step = r.report.Sum.Err
		}
	}
	if inUse != nil {
		if a.inUse == nil {
			a.inUse = &report.InUse{}
		}
		a.inUse.Add(*inUse)
	}
	return nil
}

// end decides what concerns all parts, if they are all there.
func (a *adding) end(r *transferring) error {
	r.noteTrims()
	if a.complete < a.parts {
		if a.problem != nil {
			return nil
		}
		return &fault.Fault{Kind: fault.Canceled, Op: r.report.Verb(),
			Err: fmt.Errorf("%d of %d parts were carried out", a.complete, a.parts)}
	}
	r.idleTags()
	if err := r.checkMatches(); err != nil || a.problem != nil {
		return err
	}
	if a.inUse != nil {
		place := map[ref.Name]int{}
		for i, n := range r.req.InUse.Images {
			place[n] = i
		}
		slices.SortFunc(a.inUse.Lost, func(x, y report.Lost) int { return place[x.Image] - place[y.Image] })
		r.report.Sum.InUse = a.inUse
	}
	return nil
}
