package survey

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// findDigests asks for the digests of the tags that may be in use and that the listing does not tell.
func (k *Landing) findDigests(ctx context.Context, s listing, candidates []oci.Listed) error {
	open := map[ref.Name]bool{}
	var names []ref.Name
	for _, t := range candidates {
		if n := s.at.Repo().Tagged(t.Tag); t.Descriptor.Digest == "" && !open[n] {
			open[n] = true
			names = append(names, n)
		}
	}
	// What can not be asked for is asked for again once it is selected, and then it counts.
	found, _, err := k.resolve(ctx, fault.Source, names, func(ref.Name) place.Repository { return s.at })
	for i, t := range s.tags {
		if d, ok := found[s.at.Repo().Tagged(t.Tag)]; ok {
			s.tags[i].Descriptor = d
		}
	}
	return err
}
