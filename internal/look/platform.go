package look

import (
	"context"
	"fmt"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// resolve returns the descriptor of what n points to or, if p is not zero, that of the image in it that is for p.
func resolve(
	ctx context.Context, s *place.Session, at place.Repository, n ref.Name, p oci.Platform,
) (oci.Descriptor, error) {
	if !oci.NamesPlatform(&p) {
		desc, err := at.Resolve(ctx, survey.Reference(n))
		return desc, nearest.Hint(ctx, s, n, err)
	}
	doc, err := at.Document(ctx, survey.Reference(n))
	if err != nil {
		return oci.Descriptor{}, nearest.Hint(ctx, s, n, err)
	}
	return chosen(ctx, at, n, doc, p)
}

// document reads the document that n points to or, if p is not zero, that of the image in it that is for p.
func document(
	ctx context.Context, s *place.Session, at place.Repository, n ref.Name, p oci.Platform,
) (oci.Document, error) {
	doc, err := at.Document(ctx, survey.Reference(n))
	if err != nil {
		return doc, nearest.Hint(ctx, s, n, err)
	}
	child, err := chosen(ctx, at, n, doc, p)
	if err != nil || child.Digest == doc.Digest {
		return doc, err
	}
	got, err := at.Document(ctx, string(child.Digest))
	if fault.Is(err, fault.NotFound) {
		err = oci.Lacks(at.Repo(), doc.Digest, child, err)
	}
	return got, err
}

// chosen returns the descriptor of the image in doc that is for p: that of doc itself, if p is zero or if doc is
// for p and no index.
func chosen(
	ctx context.Context, at place.Repository, n ref.Name, doc oci.Document, p oci.Platform,
) (oci.Descriptor, error) {
	if !oci.NamesPlatform(&p) {
		return doc.Descriptor, nil
	}
	part, err := trim.PartOf(ctx, nil, at, doc, []oci.Platform{p}, plan.Sparse)
	if err != nil {
		return oci.Descriptor{}, err
	}
	if len(part.Found) == 0 && (doc.IsIndex() || len(part.Has) > 0) {
		return oci.Descriptor{}, trim.Missing("look at", n, []oci.Platform{p}, part.Has, "name a platform that it has")
	}
	if !doc.IsIndex() {
		return doc.Descriptor, nil
	}
	found, err := imagesFor(ctx, at, part.Document, p, nil, map[oci.Digest]bool{})
	if err != nil {
		return oci.Descriptor{}, err
	}
	if len(found) != 1 {
		var choice []string
		for _, child := range found {
			choice = append(choice, oci.PlatformString(child.Platform)+" is "+string(child.Digest))
		}
		cause := fmt.Sprintf("%d images in it are for %s: %s", len(found), oci.PlatformString(&p), strings.Join(choice, ", "))
		return oci.Descriptor{}, fault.Misuse("look at", n.String(), cause,
			"add the version of the operating system, or name one of them by its digest")
	}
	return found[0], nil
}

// imagesFor adds the images of an index that are for p to found, each once. They may be in an index in it. seen
// has what was looked at.
func imagesFor(
	ctx context.Context, at place.Repository, index oci.Document, p oci.Platform,
	found []oci.Descriptor, seen map[oci.Digest]bool,
) ([]oci.Descriptor, error) {
	for _, child := range index.Documents {
		if seen[child.Digest] {
			continue
		}
		switch {
		case oci.NamesPlatform(child.Platform):
			if oci.PlatformMatches(p, *child.Platform) {
				seen[child.Digest] = true
				found = append(found, child)
			}
		case oci.IsNested(child):
			seen[child.Digest] = true
			doc, err := at.Document(ctx, string(child.Digest))
			if err == nil {
				found, err = imagesFor(ctx, at, doc, p, found, seen)
			}
			if err != nil && !fault.Is(err, fault.NotFound) {
				return nil, err
			}
		}
	}
	return found, nil
}
