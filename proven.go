package dray

import (
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// recall marks steps that were right before and whose content was proven once, and remembers
// what was proven now: a name is set when all that is below it was proven at the target. What
// can not be remembered is only told of again.
func (r *transferring) recall(repo ref.Repo, steps []StepReport) {
	known := r.dray.proofs.Of(repo)
	var proven, broken []oci.Digest
	for i := range steps {
		s := &steps[i]
		switch d := s.Digest(); {
		case s.State == Failed && s.lacks:
			broken = append(broken, d)
		case s.State == Done, s.State == Unchanged && s.proven:
			if !known[d] {
				proven = append(proven, d)
			}
		case s.State == Unchanged:
			s.proven = known[d]
		}
	}
	_ = r.dray.proofs.Note(repo, proven, broken)
}

// remember does the same for what a verification found.
func (v *verifying) remember(got compared) {
	if v.of.Depth == Digests {
		return
	}
	known := v.dray.proofs.Of(got.landing.To)
	var proven, broken []oci.Digest
	for _, e := range got.entries {
		switch {
		case e.Match == Same && !known[e.Source]:
			proven = append(proven, e.Source)
		case e.Match == Incomplete, e.Match == Corrupted:
			broken = append(broken, e.Source)
		}
	}
	_ = v.dray.proofs.Note(got.landing.To, proven, broken)
}
