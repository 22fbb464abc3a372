package prove

import (
	"context"

	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/report"
)

// Into checks the content below the names that point to the same digest, and repairs it if v.Heal
// is set. The results are written to got.
func (v *Prover) Into(ctx context.Context, s *place.Session, got *Looking) {
	lost := v.refused(got.To)
	if v.Heal {
		lost = nil // they are sent again
	}
	p, err := v.checkBelow(ctx, s, got.To, got.Entries, lost)
	if err != nil {
		for i := range got.Entries {
			if got.Entries[i].Match == report.Same {
				got.Entries[i].Match, got.Entries[i].Err = report.Unproven, err
			}
		}
		return
	}
	for i := range got.Entries {
		p.settle(&got.Entries[i])
	}
	got.Looked = p.looked
	if v.Heal {
		v.heal(ctx, p, got)
	}
}
