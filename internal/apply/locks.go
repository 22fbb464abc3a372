package apply

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/report"
)

// Lock locks the names that are right now. It comes after all tags: a lock may be what keeps
// the next one from being set.
func (r *Run) Lock(ctx context.Context) {
	var at []int
	for i, s := range r.Plan.Steps {
		if state := r.Reports[i].State; s.Locks != (oci.Locks{}) && (state == report.Done || state == report.Unchanged) {
			at = append(at, i)
		}
	}
	// The error is that of a context that ended; what each step met is in its report.
	_ = place.Each(ctx, place.Lookups, at, func(ctx context.Context, i int) error {
		s := r.Plan.Steps[i]
		if err := r.session.Own(fault.Target, s.To.Repo, remote.Push).Lock(ctx, s.To.Tag, s.Locks); err != nil {
			r.End(i, report.Failed, fault.On(fault.Target, err))
		}
		return nil
	})
}
