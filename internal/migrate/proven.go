package migrate

import (
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

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
