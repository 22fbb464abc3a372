package referrers

import (
	"context"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// Standing says how a referrer stands at a target.
type Standing struct {
	There bool       // the target lists it, or has all of it under its digest tag
	Keeps plan.Keeps // what the target keeps under the digest tag
	Has   oci.Digest // what the digest tag points to; "" if it is not there
}

// Listed says how those of want, all of which refer to the document d of the source from, stand in the
// repository at.
func (f *Finder) Listed(
	ctx context.Context, from, at place.Repository, d oci.Descriptor, want []plan.Referrer,
) ([]Standing, error) {
	var have []oci.Descriptor
	if slices.ContainsFunc(want, func(r plan.Referrer) bool { return r.Tag == "" }) {
		var err error
		// What the target does not allow to be listed counts as lacking: to put it again changes nothing.
		if have, err = at.Referrers(ctx, d); err != nil && !fault.Is(err, fault.Denied) {
			return nil, fault.On(fault.Target, err)
		}
	}
	all := make([]Standing, len(want))
	err := place.Each(ctx, place.Lookups, place.IndexesOf(want), func(ctx context.Context, i int) (err error) {
		r := want[i]
		if r.Tag == "" {
			all[i].There = slices.ContainsFunc(have, func(h oci.Descriptor) bool { return h.Digest == r.Digest })
			return nil
		}
		all[i], err = f.tagged(ctx, from, at, r)
		return err
	})
	return all, err
}

// tagged says how a digest tag stands at a target.
func (f *Finder) tagged(ctx context.Context, from, at place.Repository, r plan.Referrer) (Standing, error) {
	if !at.Repo().HasTags() {
		return Standing{}, nil
	}
	have, err := at.Resolve(ctx, r.Tag)
	switch {
	case fault.Is(err, fault.NotFound):
		return Standing{}, nil
	case err != nil:
		return Standing{}, fault.On(fault.Target, err)
	case have.Digest == r.Digest:
		return Standing{There: true, Has: have.Digest}, nil
	}
	own, err := OwnOf(ctx, f.session, from, at, Rivals{r.Tag, r.Digest, have.Digest})
	if fault.Is(err, fault.NotFound) && fault.SideOf(err) == fault.Source {
		return Standing{}, nil // whoever copies it says that it is gone
	}
	return Standing{There: own == plan.KeepsAll, Keeps: own, Has: have.Digest}, err
}
