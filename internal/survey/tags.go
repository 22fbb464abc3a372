package survey

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/survey/listing"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

func tagsIn(inv plan.Inventory) []string {
	var tags []string
	for n := range inv {
		tags = append(tags, n.Tag)
	}
	slices.Sort(tags)
	return tags
}

// SourceTags lists repo, and asks for the digest of each tag for which the listing has none. A tag
// that is deleted meanwhile is left out.
func SourceTags(ctx context.Context, s *place.Session, repo ref.Repo) (plan.Inventory, error) {
	l, err := sourceList(ctx, s, repo)
	if err != nil {
		return nil, err
	}
	err = askSource(ctx, &l)
	l.noteGone(s)
	return l.told, err
}

// noteGone sends an event for each tag of the list that does not exist.
func (l *tagList) noteGone(s *place.Session) {
	for _, n := range l.gone {
		s.Observe(event.Event{Kind: event.Noted, Name: n.String(),
			Text: "the tag was in the listing, but no longer exists: " + n.String()})
	}
}

// tagList holds the listing of a repository: the digests that it contains, and the names of the
// tags without one.
type tagList struct {
	at   place.Repository
	told plan.Inventory
	open []ref.Name
	gone []ref.Name // tags that are listed, but do not exist; known after askSource
	// unsure says, by tag, why nobody knows whether it lists what refers to an image; known after leaveListsOut.
	unsure map[string]error
}

// doubt makes askSource ask for all tags, even if the listing has their digests.
func (l *tagList) doubt() {
	for n := range l.told {
		l.open = append(l.open, n)
	}
	clear(l.told)
}

func sourceList(ctx context.Context, s *place.Session, repo ref.Repo) (tagList, error) {
	at, err := s.Source(ctx, repo)
	if err != nil {
		return tagList{}, err
	}
	l, err := listTags(ctx, at)
	if err == nil {
		s.NoteTags(repo, place.DigestTagsOf(l.each))
	}
	return l, fault.On(fault.Source, nearest.Hint(ctx, s, repo.Tagged(""), err))
}

// targetList returns an empty list for a repository that does not exist.
func targetList(ctx context.Context, s *place.Session, repo ref.Repo) (tagList, error) {
	if place.Absent(repo) {
		return tagList{}, nil
	}
	at, err := s.Target(ctx, repo, layout.Read)
	if err != nil {
		return tagList{}, err
	}
	l, err := listTags(ctx, at)
	if fault.Is(err, fault.NotFound) {
		return tagList{}, nil
	}
	return l, fault.On(fault.Target, err)
}

func listTags(ctx context.Context, at place.Repository) (tagList, error) {
	l := tagList{at: at, told: plan.Inventory{}}
	err := at.List(ctx, func(t oci.Listed) error { l.add(t); return nil })
	return l, err
}

// leaveListsOut takes those tags out of the list that list what refers to an image.
func (l *tagList) leaveListsOut(ctx context.Context, s *place.Session, choice plan.Referrers) error {
	all := listing.New(listing.WithoutTimes)
	for tag, d := range l.each {
		all.Add(oci.Listed{Tag: tag, Descriptor: d})
	}
	lists, err := referrers.Lists(ctx, s, choice, l.at, all)
	left := func(n ref.Name) bool { return lists.Tags[n.Tag] }
	maps.DeleteFunc(l.told, func(n ref.Name, _ oci.Descriptor) bool { return left(n) })
	l.open, l.unsure = slices.DeleteFunc(l.open, left), lists.Unsure
	return err
}

// add adds a tag to the list.
func (l *tagList) add(t oci.Listed) {
	if n := l.at.Repo().Tagged(t.Tag); t.Descriptor.Digest == "" {
		l.open = append(l.open, n)
	} else {
		l.told[n] = t.Descriptor
	}
}

// tags returns the tags of the list, sorted.
func (l tagList) tags() []string {
	tags := tagsIn(l.told)
	for _, n := range l.open {
		tags = append(tags, n.Tag)
	}
	slices.Sort(tags)
	return tags
}

// each visits the tags of the list.
func (l tagList) each(yield func(string, oci.Descriptor) bool) {
	for _, n := range l.open {
		if !yield(n.Tag, oci.Descriptor{}) {
			return
		}
	}
	for n, d := range l.told {
		if !yield(n.Tag, d) {
			return
		}
	}
}

// askSource moves the tags of l.open to l.told, with their digests, or to l.gone.
func askSource(ctx context.Context, l *tagList) error {
	var mu sync.Mutex
	err := place.Each(ctx, place.Lookups, l.open, func(ctx context.Context, n ref.Name) error {
		desc, err := l.at.Resolve(ctx, n.Tag)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case fault.Is(err, fault.NotFound) && !remote.IsStray(err):
			l.gone = append(l.gone, n)
		case err != nil:
			return fault.On(fault.Source, err)
		default:
			l.told[n] = desc
		}
		return nil
	})
	l.open = nil
	slices.SortFunc(l.gone, ref.Name.Compare)
	return err
}

// heldBy returns what the listed repositories have under the wanted tags. A tag without a digest is
// looked up only if it is in a listing.
func heldBy(ctx context.Context, s *place.Session, lists []tagList, wanted map[string]bool) (plan.Inventory, error) {
	inv := plan.Inventory{}
	var open []ref.Name
	for _, l := range lists {
		for n, desc := range l.told {
			if wanted[n.Tag] {
				inv[n] = desc
			}
		}
		for _, n := range l.open {
			if wanted[n.Tag] {
				open = append(open, n)
			}
		}
	}
	held, err := Targets(ctx, s, open, "")
	maps.Copy(inv, held)
	return inv, err
}

// takeUnsure takes the unsure tags out of the list. It returns them, and what is lost already.
func (l *tagList) takeUnsure(lost map[ref.Name]error) map[ref.Name]error {
	taken := map[ref.Name]error{}
	maps.Copy(taken, lost)
	for tag, why := range l.unsure {
		n := l.at.Repo().Tagged(tag)
		if _, found := l.told[n]; found {
			delete(l.told, n)
			taken[n] = why
		}
	}
	return taken
}
