package migrate

import (
	"time"

	"github.com/drayage/dray/internal/apply"
	"github.com/drayage/dray/internal/survey/landing"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// rememberMark remembers up to which time a source was copied. All of its steps have succeeded.
func (r *transferring) rememberMark(m *landing.Mark) {
	_ = r.Base.Marks.Note(m.From, m.To, m.Now) // if this fails, the next run lists the whole repository
}

// rememberApplied marks the steps that were up to date and whose content was proven in an earlier
// run. It also remembers what was proven in this run: a name is only set after all content below it
// was proven at the target. If this cannot be written to disk, a later run reports the image as not
// proven again.
func (r *transferring) rememberApplied(repo ref.Repo, steps []report.Step, done *applied) {
	known, read := done.proven[repo]
	if !read {
		known = r.Base.Proofs.Of(repo)
		done.proven[repo] = known
	}
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

// applied is what the ranges of some repositories that were applied have in common.
type applied struct {
	began    map[ref.Repo]time.Time
	parts    map[ref.Repo]int                 // how many were reported
	proven   map[ref.Repo]map[oci.Digest]bool // by earlier runs and so far
	failed   bool                             // a step was not done
	referred apply.Referred                   // what was sent with the images of the ranges so far
}

func newApplied() *applied {
	return &applied{began: map[ref.Repo]time.Time{}, parts: map[ref.Repo]int{},
		proven: map[ref.Repo]map[oci.Digest]bool{}}
}
