package apply

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// copy copies one image to all ends of t and settles their steps. Ends that the source's pull limit
// stopped are returned as a task for later.
func (r *Run) copy(ctx context.Context, t *task) (late *task) {
	from, doc, err := r.open(ctx, t)
	if err != nil {
		for _, e := range t.to {
			r.settle(e, transfer.Outcome{Err: err})
		}
		return nil
	}
	looking, stop := context.WithCancel(ctx)
	with := r.look(looking, t, from, doc)
	defer with.wait()
	defer stop()
	via := r.newViaAzure(t)
	var ends []*end
	job := transfer.Task{
		From:      from,
		Root:      t.root,
		Document:  doc,
		Documents: r.session.Documents,
		Proof:     r.proof(t),
		Step:      t.to[0].steps[0],
		Observe:   r.session.Observe,
		Sparse:    t.trim.Form == plan.Sparse && t.part != namesOnly,
	}
	for _, e := range t.to {
		if err := cmp.Or(r.refusesSparse(t, e), with.cannotTake(e), via.cannotReach(e)); err != nil {
			r.fail(e, err)
			continue
		}
		at, err := r.session.Target(ctx, e.repo, layout.Write)
		if err != nil {
			r.settle(e, transfer.Outcome{Err: err})
			continue
		}
		ends = append(ends, e)
		tags, last := r.tags(e)
		to := transfer.End{
			Target: r.withGuard(e, r.withBackup(e, at, r.session.Shared.Target(at, t.there...))),
			Tags:   tags,
			Last:   last,
			Back:   r.session.BackOf(at),
			Turn:   r.session.Shared.Turn(at),
			Before: with.before(e, at),
			Bring:  via.bring(e, at),
		}
		if t.part == contentOnly {
			to.Tags, to.Last = nil, nil
		}
		job.To = append(job.To, to)
	}
	for _, e := range ends {
		r.session.Warm(ctx, t.from, e.repo)
	}
	began := time.Now()
	for i, out := range r.session.Base.Engine.Copy(ctx, job) {
		r.addTime(ends[i], time.Since(began))
		if _, spent := remote.SpentUntil(out.Err); spent {
			if late == nil {
				again := *t
				late = &again
				late.to, late.late = nil, out.Err
			}
			late.to = append(late.to, ends[i])
			continue
		}
		if t.part == contentOnly && out.Err == nil {
			r.recordBlobs(ends[i], out.Blobs)
			continue
		}
		r.settle(ends[i], out)
	}
	return late
}

// refusesSparse returns the error of an end on disk, which holds only whole images, if it would get a sparse index.
func (r *Run) refusesSparse(t *task, e *end) error {
	if t.trim.Form != plan.Sparse || t.part == namesOnly || !e.repo.IsLayout() {
		return nil
	}
	f := &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: r.Plan.Verb, Name: e.repo.String(),
		Err:  errors.New("an archive or a directory holds whole images only, and a sparse index lacks some"),
		Hint: "leave out --sparse, then the index is trimmed"}
	if r.Plan.Verb == "load" {
		f.Hint = "load it into a registry, or make the bundle without --sparse"
	}
	return f
}

// tags returns the tags of an end: first those that stay on their image, then those that move from
// release to release and are set last.
func (r *Run) tags(e *end) (stay, move []string) {
	for _, i := range e.steps {
		switch tag := r.Plan.Steps[i].To.Tag; {
		case tag == "":
		case plan.Moving(tag):
			move = append(move, tag)
		default:
			stay = append(stay, tag)
		}
	}
	return stay, move
}

// settle writes the outcome of an end into the reports of its steps.
func (r *Run) settle(e *end, out transfer.Outcome) {
	set := map[string]bool{"": out.Err == nil}
	for _, tag := range out.Accepted.Tags {
		set[tag] = true
	}
	r.recordBlobs(e, out.Blobs)
	lost := r.lacking(e)
	for _, i := range e.steps {
		tag := r.Plan.Steps[i].To.Tag
		err := out.Accepted.Failed[tag]
		switch {
		case err == nil && set[tag] && lost == nil:
			r.End(i, report.Done, nil)
			if oci.IsDigestTag(tag) {
				r.Reports[i].Referrers.Copied++
			}
		case err == nil && set[tag]:
			r.Reports[i].Arrived = true
			r.End(i, report.Failed, lost)
		case err == nil && out.Err == nil:
			r.End(i, report.Failed, &fault.Fault{
				Kind: fault.Internal,
				Side: fault.Target,
				Op:   "tag",
				Name: r.Plan.Steps[i].To.String(),
				Err:  errors.New("the target did not report whether it set the tag"),
			})
		case err == nil:
			r.End(i, report.Failed, out.Err)
		default:
			r.End(i, report.Failed, err)
		}
	}
}

// addTime adds the time that an image took to the report of each of its names at an end.
func (r *Run) addTime(e *end, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range e.steps {
		r.Reports[i].Took += took
	}
}
