package referrers

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// listLookups is how many tags of one repository WithoutLists looks up at once.
const listLookups = 8

// Tags are the tags of a source repository without those that list what refers to an image.
type Tags struct {
	Kept   []oci.Listed
	Lists  map[oci.Digest]bool // the digests of the lists that were left out
	Unsure map[string]error    // by tag, of those in Kept: why nobody can say whether it is such a list
}

// TakeUnsure takes the Unsure tags of a repository out of its inventory. It returns those that were in it, and why, and
// what is lost already.
func (t Tags) TakeUnsure(from plan.Inventory, repo ref.Repo, lost map[ref.Name]error) map[ref.Name]error {
	taken := maps.Clone(lost)
	if taken == nil {
		taken = map[ref.Name]error{}
	}
	for tag, why := range t.Unsure {
		n := repo.Tagged(tag)
		if _, found := from[n]; found {
			delete(from, n)
			taken[n] = why
		}
	}
	return taken
}

// WithoutLists returns the tags of a source repository without those that list what refers to a document which the
// repository has (distribution-spec v1.1.1 §Referrers Tag Schema). If referrers travel, what they name travels with
// that document, and the target makes a list of its own if it needs one. Put there as a tag, the list of the source
// would replace what the target lists. So a tag must not be copied if it, or the document, cannot be looked up: it is
// Unsure.
//
// The registry of this process does not look under these tags for referrers, so its tags stay.
func WithoutLists(
	ctx context.Context, s *place.Session, choice plan.Referrers, at place.Repository, tags []oci.Listed,
) (Tags, error) {
	if !choice.Travel() || !s.Base.Elsewhere(at.Repo()) && !at.Repo().IsLayout() {
		return Tags{Kept: tags}, nil
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
	left, out := map[string]bool{}, Tags{Kept: tags, Lists: map[oci.Digest]bool{}, Unsure: map[string]error{}}
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
			left[t.Tag], out.Lists[d] = true, true
		}
		return nil
	})
	if err != nil || len(left) == 0 {
		return out, err
	}
	s.Observe(event.Event{Kind: event.Noted, Host: at.Repo().Host, Count: 1,
		Text: "tags of " + at.Repo().Host + " that list what refers to an image, such as sha256-…, " +
			"are not copied as tags: what they list travels with the images"})
	out.Kept = slices.DeleteFunc(slices.Clone(tags), func(t oci.Listed) bool { return left[t.Tag] })
	return out, nil
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
