package referrers

import (
	"context"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// Listed reports which of want, all of which refer to the document d, the repository at lists, or has under
// their digest tags.
func Listed(ctx context.Context, at place.Repository, d oci.Descriptor, want []plan.Referrer) ([]bool, error) {
	var have []oci.Descriptor
	if slices.ContainsFunc(want, func(r plan.Referrer) bool { return r.Tag == "" }) {
		var err error
		// What the target does not allow to be listed counts as lacking: to put it again changes nothing.
		if have, err = at.Referrers(ctx, d); err != nil && !fault.Is(err, fault.Denied) {
			return nil, err
		}
	}
	listed := make([]bool, len(want))
	err := place.Each(ctx, place.Lookups, place.IndexesOf(want), func(ctx context.Context, i int) error {
		r := want[i]
		if r.Tag == "" {
			listed[i] = slices.ContainsFunc(have, func(h oci.Descriptor) bool { return h.Digest == r.Digest })
			return nil
		}
		there, err := at.Resolve(ctx, r.Tag)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		listed[i] = there.Digest == r.Digest
		return err
	})
	return listed, err
}
