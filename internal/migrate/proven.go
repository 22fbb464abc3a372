package migrate

import (
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// rememberMark remembers up to which time a source was copied, if all of its steps succeeded.
func (r *transferring) rememberMark(m *survey.Mark, steps []report.Step) {
	if m == nil {
		return
	}
	for _, s := range steps {
		if s.State != report.Done && s.State != report.Unchanged {
			return
		}
	}
	_ = r.Base.Marks.Note(m.From, m.To, m.Now) // if this fails, the next run lists the whole repository
}

// rememberApplied marks the steps that were up to date and whose content was proven in an earlier
// run. It also remembers what was proven in this run: a name is only set after all content below it
// was proven at the target. If this cannot be written to disk, a later run reports the image as not
// proven again.
func (r *transferring) rememberApplied(repo ref.Repo, steps []report.Step) {
	known := r.Base.Proofs.Of(repo)
	var proven, broken []oci.Digest
	for i := range steps {
		s := &steps[i]
		switch d := s.Digest(); {
		case s.Trim.Form == plan.Sparse: // the digest is that of the whole index
		case s.Keeps != "": // the target has something else
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
