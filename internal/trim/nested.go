package trim

import (
	"context"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
)

// maxNested is how deeply indexes are nested in one another, as a copy takes them.
const maxNested = 8

// nestedIn returns the platforms of the indexes in index that do not say what they are for. It reads them from
// at. One that is not there is left out: it is copied, and the copy names what it lacks.
func nestedIn(
	ctx context.Context, docs *transfer.Documents, at place.Repository, index oci.Document,
) (oci.Nested, error) {
	all := oci.Nested{}
	for _, child := range index.Documents {
		if !oci.IsNested(child) {
			continue
		}
		if err := below(ctx, docs, at, child.Digest, maxNested, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// below adds the platforms of an index and of those in it, down to so many levels, to all.
func below(
	ctx context.Context, docs *transfer.Documents, at place.Repository, d oci.Digest, levels int, all oci.Nested,
) error {
	if _, known := all[d]; known || levels == 0 {
		return nil
	}
	all[d] = nil
	doc, err := docs.Read(ctx, at, d)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, child := range doc.Documents {
		var has []oci.Platform
		if oci.NamesPlatform(child.Platform) {
			has = []oci.Platform{*child.Platform}
		} else if oci.IsNested(child) {
			if err := below(ctx, docs, at, child.Digest, levels-1, all); err != nil {
				return err
			}
			has = all[child.Digest]
		}
		for _, p := range has {
			is := func(q oci.Platform) bool { return oci.PlatformString(&q) == oci.PlatformString(&p) }
			if !slices.ContainsFunc(all[d], is) {
				all[d] = append(all[d], p)
			}
		}
	}
	return nil
}
