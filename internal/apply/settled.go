package apply

import (
	"context"
	"errors"
	"fmt"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/admit"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// Admit lets Azure import the images that cannot be seen from here, which no gate admits, and asks the gate about the
// images that the plan would move. The steps of those that it does not admit become Refused. What it said while the
// plan was made counts, so it is not asked again. The error is Canceled.
func (r *Run) Admit(ctx context.Context) error {
	if err := r.importUnseen(ctx); err != nil {
		r.unstage(ctx)
		return err
	}
	err := admit.Steps(ctx, r.session, r.Plan.Verb, r.Plan.Steps)
	for i, s := range r.Plan.Steps {
		r.Reports[i].Step = s
	}
	return err
}

// Settled records the result of a step that requires no work.
func (r *Run) Settled(i int, s plan.Step) {
	switch s.Action {
	case plan.Skip:
		if s.Keeps == plan.KeepsOther {
			r.keeps(i, s)
		}
		if err := r.kept(s); err != nil {
			r.End(i, report.Failed, err)
			return
		}
		r.End(i, report.Unchanged, nil)
	case plan.Conflict:
		r.End(i, report.Failed, conflict(r.Plan.Verb, s, r.words))
	case plan.Broken, plan.Refused:
		r.End(i, report.Failed, s.Problem.Err())
	}
}

// keeps records that the target keeps what it has under the digest tag of a step.
func (r *Run) keeps(i int, s plan.Step) {
	l := report.LostOf(plan.Referrer{Digest: s.Digest(), MediaType: s.MediaType, Size: s.Size, Tag: s.To.Tag}, s.To.Repo)
	l.Subject, _ = oci.TaggedFor(s.To.Tag)
	l.Has = s.Replaces
	l.Why = fmt.Sprintf("it is %s, the source is %s", s.Replaces, s.Digest())
	l.Hint = "to replace it, use " + r.words.Rewrite(r.Plan.Verb)
	r.Reports[i].Referrers.Add(report.Referrers{Kept: 1, Lost: []report.LostReferrer{l}})
}

func conflict(verb string, s plan.Step, words name.Words) error {
	hint := "use " + words.Replace(verb) + " to replace it"
	return &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: verb, Name: s.To.String(), Hint: hint,
		Err: fmt.Errorf("the tag exists with another digest: it is %s, the source is %s", s.Replaces,
			s.Trim.Told(s.Origin()))}
}

// errKept is the cause of the failure of a step whose digest tag is required and stays as the target has it.
var errKept = errors.New("what refers to images is required, and the target keeps other content under this digest tag")

// kept returns the error of a step that requires what refers to its image, if the target keeps something else under its
// digest tag.
func (r *Run) kept(s plan.Step) error {
	if s.Keeps != plan.KeepsOther || r.Plan.ReferrersOf(s).Mode != plan.ReferrersRequire {
		return nil
	}
	return &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: r.Plan.Verb, Name: s.To.String(), Err: errKept,
		Hint: "to replace what the target has, use " + r.words.Rewrite(r.Plan.Verb)}
}
