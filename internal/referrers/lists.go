package referrers

import (
	"context"
	"slices"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// listLookups is how many tags of one repository WithoutLists looks up at once.
const listLookups = 8

// WithoutLists returns the tags of a source repository without those that list what refers to a document which
// the repository has (distribution-spec v1.1.1 §Referrers Tag Schema), and the digests of these lists. If referrers
// travel, what they name travels with that document, and the target makes a list of its own if it needs one. Put
// there as a tag, the list of the source would replace what the target lists.
//
// A tag stays if it or the document cannot be looked up. The registry of this process does not look under these tags
// for referrers, so its tags stay, too.
func WithoutLists(
	ctx context.Context, s *place.Session, choice plan.Referrers, at place.Repository, tags []oci.Listed,
) (kept []oci.Listed, lists map[oci.Digest]bool, err error) {
	if !choice.Travel() || !s.Base.Elsewhere(at.Repo()) && !at.Repo().IsLayout() {
		return tags, nil, nil
	}
	there := map[oci.Digest]bool{}
	var asked []oci.Listed
	for _, t := range tags {
		there[t.Descriptor.Digest] = true
		if _, fallback := oci.TaggedFor(t.Tag); fallback {
			asked = append(asked, t)
		}
	}
	var mu sync.Mutex
	left, lists := map[string]bool{}, map[oci.Digest]bool{}
	err = place.Each(ctx, listLookups, asked, func(ctx context.Context, t oci.Listed) error {
		subject, _ := oci.TaggedFor(t.Tag)
		d, err := t.Descriptor, error(nil)
		if d.Digest == "" || d.MediaType == "" {
			d, err = at.Resolve(ctx, t.Tag)
		}
		if err != nil || d.MediaType != oci.TypeIndex || d.Digest == subject {
			return context.Cause(ctx)
		}
		if !there[subject] {
			if _, err := at.Resolve(ctx, string(subject)); err != nil {
				return context.Cause(ctx)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		left[t.Tag], lists[d.Digest] = true, true
		return nil
	})
	if err != nil || len(left) == 0 {
		return tags, nil, err
	}
	s.Observe(event.Event{Kind: event.Noted, Host: at.Repo().Host, Count: 1,
		Text: "tags of " + at.Repo().Host + " that list what refers to an image, such as sha256-…, are not copied as tags: " +
			"what they list travels with the images"})
	return slices.DeleteFunc(slices.Clone(tags), func(t oci.Listed) bool { return left[t.Tag] }), lists, nil
}
