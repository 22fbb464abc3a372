package migrate

import (
	"errors"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

var errNotIncremental = errors.New("incremental, and more than what changed has to be looked at")

// checkIncremental refuses what tags that are known would have to be looked at for.
func (r *transferring) checkIncremental() error {
	q, sel := r.req, r.req.Selection
	if !q.Incremental {
		return nil
	}
	tags := len(sel.IncludeTags)+len(sel.ExcludeTags) > 0 || sel.Versions != (plan.Versions{}) || !sel.Since.IsZero() || sel.Latest > 0 || sel.MinTags > 0
	if tags || sel.Untagged || len(q.InUse.Images) > 0 || len(q.Map.Pairs)+len(q.Map.Rename) > 0 || len(q.Also) > 0 || q.CopyLocks || q.Heal ||
		q.Explain != nil || q.Overwrite == plan.Always || (q.Proof != "" && q.Proof != oci.Claimed) {
		return &fault.Fault{Kind: fault.Invalid, Op: "transfer", Name: q.Target, Err: errNotIncremental,
			Hint: "it goes with one target, rules about repositories and mappings of them, and no others"}
	}
	return nil
}

// marked remembers how far a source was brought, if all of it was.
func (r *transferring) marked(m *survey.Mark, steps []report.Step) {
	if m == nil {
		return
	}
	for _, s := range steps {
		if s.State != report.Done && s.State != report.Unchanged {
			return
		}
	}
	_ = r.Base.Marks.Note(m.From, m.To, m.Now) // what is not remembered is listed again
}

// recall marks steps that were right before and whose content was proven once, and remembers
// what was proven now: a name is set when all that is below it was proven at the target. What
// can not be remembered is only told of again.
func (r *transferring) recall(repo ref.Repo, steps []report.Step) {
	known := r.Base.Proofs.Of(repo)
	var proven, broken []oci.Digest
	for i := range steps {
		s := &steps[i]
		switch d := s.Digest(); {
		case s.State == report.Failed && s.Lacks:
			broken = append(broken, d)
		case s.State == report.Done, s.State == report.Unchanged && s.Proven:
			if !known[d] {
				proven = append(proven, d)
			}
		case s.State == report.Unchanged:
			s.Proven = known[d]
		}
	}
	_ = r.Base.Proofs.Note(repo, proven, broken)
}

// remember does the same for what a verification found.
func (v *verifying) remember(got compared) {
	if v.of.Depth == report.Digests {
		return
	}
	known := v.Base.Proofs.Of(got.To)
	var proven, broken []oci.Digest
	for _, e := range got.Entries {
		switch {
		case e.Match == report.Same && !known[e.Source]:
			proven = append(proven, e.Source)
		case e.Match == report.Incomplete, e.Match == report.Corrupted:
			broken = append(broken, e.Source)
		}
	}
	_ = v.Base.Proofs.Note(got.To, proven, broken)
}
