package dray

import (
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// recall marks steps that were right before and whose content was proven once, and remembers
// what was proven now: a name is set when all that is below it was proven at the target. What
// can not be remembered is only told of again.
func (r *transferring) recall(repo ref.Repo, steps []StepReport) {
	known := r.base.proofs.Of(repo)
	var proven, broken []oci.Digest
	for i := range steps {
		s := &steps[i]
		switch d := s.Digest(); {
		case s.State == Failed && s.Lacks:
			broken = append(broken, d)
		case s.State == Done, s.State == Unchanged && s.Proven:
			if !known[d] {
				proven = append(proven, d)
			}
		case s.State == Unchanged:
			s.Proven = known[d]
		}
	}
	_ = r.base.proofs.Note(repo, proven, broken)
}

// remember does the same for what a verification found.
func (v *verifying) remember(got compared) {
	if v.of.Depth == Digests {
		return
	}
	known := v.base.proofs.Of(got.To)
	var proven, broken []oci.Digest
	for _, e := range got.Entries {
		switch {
		case e.Match == Same && !known[e.Source]:
			proven = append(proven, e.Source)
		case e.Match == Incomplete, e.Match == Corrupted:
			broken = append(broken, e.Source)
		}
	}
	_ = v.base.proofs.Note(got.To, proven, broken)
}
