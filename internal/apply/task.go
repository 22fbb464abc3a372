package apply

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// task is one image and all steps that copy it to some repository.
type task struct {
	from   ref.Repo
	root   oci.Descriptor
	trim   plan.Trim  // what of the image is copied
	of     oci.Digest // the image at the source, if it is trimmed
	to     []*end
	finder *referrers.Finder // of what travels with the image
	there  []ref.Repo        // targets of the plan that have the image already
	part   stage
	late   error // the pull limit error that postponed the task
}

// stage says which part of the work a task does.
type stage int

const (
	// contentAndNames copies the content and sets the names.
	contentAndNames stage = iota
	contentOnly           // copies the content only
	namesOnly             // sets the names only, of content that its single end already has
)

// end is one target repository and the steps that set names in it.
type end struct {
	repo  ref.Repo
	steps []int
}

func (t *task) add(repo ref.Repo, step int) {
	for _, e := range t.to {
		if e.repo == repo {
			e.steps = append(e.steps, step)
			return
		}
	}
	t.to = append(t.to, &end{repo: repo, steps: []int{step}})
}

// fail ends all steps of an end with an error.
func (r *Run) fail(e *end, err error) {
	for _, i := range e.steps {
		r.End(i, report.Failed, err)
	}
}

// arrivedAlone ends the steps of an end whose image is there without all that is required to be with it.
func (r *Run) arrivedAlone(e *end, err error) {
	for _, i := range e.steps {
		r.Reports[i].Arrived = true
	}
	r.fail(e, err)
}

// proof says how much evidence is required that the targets of t have a blob. If an image that is
// already there is put again, the reason is to be sure of it, so the size of each blob is checked.
func (r *Run) proof(t *task) oci.Proof {
	if r.wantedProof != oci.Claimed {
		return r.wantedProof
	}
	for _, e := range t.to {
		for _, i := range e.steps {
			if s := r.Plan.Steps[i]; s.Replaces == s.Digest() || r.overwrite(s) == plan.Always {
				return oci.Sized
			}
		}
	}
	return oci.Claimed
}

// recordBlobs adds blobs of an end to the report of its first step.
func (r *Run) recordBlobs(e *end, blobs oci.Blobs) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Reports[e.steps[0]].Blobs = r.Reports[e.steps[0]].Blobs.And(blobs)
}

// open opens the repository that t reads from. It returns the document to copy, if it is not the one that the
// source has.
func (r *Run) open(ctx context.Context, t *task) (from place.Repository, doc oci.Document, err error) {
	if t.part == namesOnly {
		from, err = r.session.Target(ctx, t.from, layout.Write)
		return from, doc, err
	}
	from, err = r.session.Source(ctx, t.from)
	if err == nil && t.trim.Partial() {
		doc, err = trim.Document(ctx, r.session.Documents, from, t.of, t.trim)
	}
	return from, doc, fault.On(fault.Source, err)
}
