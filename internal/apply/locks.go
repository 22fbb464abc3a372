package apply

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/report"
)

// Lock locks the names that have the right digest now. It runs after all tags are set, because a
// lock may prevent another tag from being set.
func (r *Run) Lock(ctx context.Context) {
	var at []int
	for i, s := range r.Plan.Steps {
		if state := r.Reports[i].State; s.Locks != (oci.Locks{}) && (state == report.Done || state == report.Unchanged) {
			at = append(at, i)
		}
	}
	// The error only says that the context ended. The error of each step is in its report.
	_ = place.Each(ctx, place.Lookups, at, func(ctx context.Context, i int) error {
		s := r.Plan.Steps[i]
		if err := r.session.Own(fault.Target, s.To.Repo, remote.Push).Lock(ctx, s.To.Tag, s.Locks); err != nil {
			r.End(i, report.Failed, fault.On(fault.Target, err))
		}
		return nil
	})
}
