package referrers

import (
	"context"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// listLookups is how many tags of one repository Lists looks up at once.
const listLookups = 8

// TagLists are the tags of a source repository that list what refers to an image.
type TagLists struct {
	Tags    map[string]bool
	Digests map[oci.Digest]bool // of these lists
	Unsure  map[string]error    // by tag: why nobody can say whether it is such a list
}

// Lists returns those tags of a source repository that list what refers to a document which the repository has
// (distribution-spec v1.1.1 §Referrers Tag Schema). They are not to be copied as tags: if referrers travel, what they
// name travels with that document, and the target makes a list of its own if it needs one. Put there as a tag, the list
// of the source would replace what the target lists. So a tag must not be copied either if it, or the document, cannot
// be looked up: it is Unsure.
//
// The registry of this process does not look under these tags for referrers, so its tags are not among them.
func Lists(
	ctx context.Context, s *place.Session, choice plan.Referrers, at place.Repository, tags plan.Listing,
) (TagLists, error) {
	if !choice.Travel() || !s.Base.Elsewhere(at.Repo()) && !at.Repo().IsLayout() {
		return TagLists{}, nil
	}
	asked, there := schemaTags(tags)
	var mu sync.Mutex
	out := TagLists{Tags: map[string]bool{}, Digests: map[oci.Digest]bool{}, Unsure: map[string]error{}}
	err := place.Each(ctx, listLookups, asked, func(ctx context.Context, t oci.Listed) error {
		d, is, err := isList(ctx, at, t, there)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !fault.Is(err, fault.NotFound):
			out.Unsure[t.Tag] = fault.On(fault.Source, err)
		case err == nil && is:
			out.Tags[t.Tag], out.Digests[d] = true, true
		}
		return nil
	})
	if err == nil && len(out.Tags) > 0 {
		s.Observe(event.Event{Kind: event.Noted, Host: at.Repo().Host, Count: 1,
			Text: "tags of " + at.Repo().Host + " that list what refers to an image, such as sha256-…, " +
				"are not copied as tags: what they list travels with the images"})
	}
	return out, err
}

// schemaTags returns the tags whose names are those of lists of referrers, and which of the documents that they would
// belong to have a tag.
func schemaTags(tags plan.Listing) (asked []oci.Listed, there map[oci.Digest]bool) {
	there = map[oci.Digest]bool{}
	for i := range tags.Len() {
		if subject, fallback := oci.TaggedFor(tags.Tag(i)); fallback {
			asked, there[subject] = append(asked, tags.At(i)), false
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	for i := range tags.Len() {
		d := tags.At(i).Descriptor.Digest
		if _, belongs := there[d]; belongs && d != "" {
			there[d] = true
		}
	}
	return asked, there
}

// isList reports whether a referrers tag points to an index, d, and the repository has the document that it is about.
// there has documents that it has for certain.
func isList(
	ctx context.Context, at place.Repository, t oci.Listed, there map[oci.Digest]bool,
) (d oci.Digest, is bool, err error) {
	subject, _ := oci.TaggedFor(t.Tag)
	to := t.Descriptor
	if to.Digest == "" || to.MediaType == "" {
		to, err = at.Resolve(ctx, t.Tag)
	}
	if err != nil || to.MediaType != oci.TypeIndex || to.Digest == subject {
		return "", false, err
	}
	if !there[subject] {
		_, err = at.Resolve(ctx, string(subject))
	}
	return to.Digest, err == nil, err
}
