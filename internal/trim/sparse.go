package trim

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/plan"
)

// FillSparse looks below the sparse indexes that steps would skip, because the target has them already. The
// digest does not tell which of their images it has. If it lacks one that is to be copied, the step becomes
// a Replace of the same digest. FillSparse sends a GET for each index, and a HEAD for each image that is copied.
func FillSparse(ctx context.Context, s *place.Session, steps []plan.Step) error {
	var at []int
	for i, step := range steps {
		if step.Action == plan.Skip && step.Trim.Form == plan.Sparse {
			at = append(at, i)
		}
	}
	return place.Each(ctx, place.Lookups, at, func(ctx context.Context, i int) error {
		whole, err := hasAll(ctx, s, steps[i])
		if err == nil && !whole {
			steps[i].Action = plan.Replace
		}
		return fault.On(fault.Target, err)
	})
}

// hasAll reports whether the target of a step has all images of a sparse index that are to be copied.
func hasAll(ctx context.Context, s *place.Session, step plan.Step) (bool, error) {
	at, err := s.Target(ctx, step.To.Repo, layout.Read)
	if err != nil {
		return false, err
	}
	doc, err := Document(ctx, s.Documents, at, step.Digest(), step.Trim)
	if fault.Is(err, fault.NotFound) { // the target names the index, and does not have it at hand, as a bundle
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, child := range doc.Documents {
		switch _, err := at.Resolve(ctx, string(child.Digest)); {
		case fault.Is(err, fault.NotFound):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	return true, nil
}
