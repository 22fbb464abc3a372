package place

import (
	"cmp"
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ends"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Fit returns an error if the steps of a plan together cannot be done to ends on disk: if several images go to a
// directory that holds one, if two names of ends mean one file, or if an archive or a directory cannot be written.
// Nothing was written then.
func (s *Session) Fit(ctx context.Context, steps []plan.Step) error {
	if err := fit(steps); err != nil {
		return err
	}
	seen := map[ref.Repo]bool{}
	for _, step := range steps {
		if end := step.To.In(""); step.Moves() && end.IsMade() && !seen[end] {
			seen[end] = true
			if err := s.Base.Ends.Ready(ctx, end); err != nil {
				return fault.On(fault.Target, err)
			}
		}
	}
	return nil
}

func fit(steps []plan.Step) error {
	images := map[ref.Repo]map[oci.Digest]bool{}
	for _, s := range steps {
		end := s.To.In("")
		if !end.IsLayout() || s.Impossible() {
			continue
		}
		if images[end] == nil {
			for other := range images {
				if (end.IsMade() || other.IsMade()) && ends.Same(end, other) {
					return fault.On(fault.Target, ends.Twice(end, other))
				}
			}
			images[end] = map[oci.Digest]bool{}
		}
		images[end][s.Digest()] = true
	}
	var err error
	for end, all := range images {
		if !end.HasTags() && len(all) > 1 {
			err = cmp.Or(err, fault.On(fault.Target, ends.OneImage(end, len(all))))
		}
	}
	return err
}
