package referrers

import (
	"context"
	"iter"
	"maps"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// fewDocuments is for how many documents of a repository digest tags are asked for one by one. For more,
// the tags of the repository are listed once.
const fewDocuments = 4

// underTags returns what the digest tags of d point to. listed has those of the repository, see listing.
func (f *Finder) underTags(
	ctx context.Context, from place.Repository, d oci.Descriptor, listed place.Tagged,
) ([]plan.Referrer, error) {
	tags := oci.DigestTags(d.Digest)
	found := make([]oci.Descriptor, len(tags))
	err := place.Each(ctx, len(tags), place.IndexesOf(tags), func(ctx context.Context, i int) (err error) {
		if d, known := f.known(from.Repo(), tags[i]); known {
			found[i] = d
			return nil
		}
		if listed != nil {
			if d, there := listed(tags[i]); !there || d.Digest != "" {
				found[i] = d
				return nil
			}
		}
		found[i], err = from.Resolve(ctx, tags[i])
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	})
	var all []plan.Referrer
	for i, r := range found {
		if r.Digest != "" {
			all = append(all, plan.Referrer{Subject: d.Digest, Digest: r.Digest, MediaType: r.MediaType, Size: r.Size,
				Tag: tags[i]})
		}
	}
	return all, err
}

// listing returns the digest tags of a repository, or nil if they are to be asked for one by one. They
// are known if its tags were listed in this run. Otherwise it lists them if more than a few documents of
// the repository are looked at, and if no registry has to be asked.
func (f *Finder) listing(ctx context.Context, from place.Repository) (place.Tagged, error) {
	repo := from.Repo()
	if known := f.session.DigestTags(repo); known != nil {
		return known, nil
	}
	f.mu.Lock()
	if f.announcements[repo] <= fewDocuments && f.session.Base.Elsewhere(repo) {
		f.mu.Unlock()
		return nil, nil
	}
	list := f.lists[repo]
	if list == nil {
		list = &listing{turn: make(chan struct{}, 1)}
		f.lists[repo] = list
	}
	f.mu.Unlock()
	select {
	case list.turn <- struct{}{}:
		defer func() { <-list.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if list.refused {
		return nil, nil
	}
	if known := f.session.DigestTags(repo); known != nil {
		return known, nil
	}
	tags := map[string]oci.Descriptor{}
	err := from.List(ctx, func(l oci.Listed) error {
		if oci.IsDigestTag(l.Tag) {
			tags[l.Tag] = l.Descriptor
		}
		return nil
	})
	switch {
	case fault.Is(err, fault.Denied), fault.Is(err, fault.Refused):
		list.refused = true // a login may pull by name without a right to list
		return nil, nil
	case err != nil && !fault.Is(err, fault.NotFound):
		return nil, err
	}
	f.session.NoteTags(repo, place.DigestTagsOf(maps.All(tags)))
	return f.session.DigestTags(repo), nil
}

// Knows says what a tag of a repository points to, so that nobody asks for it.
func (f *Finder) Knows(repo ref.Repo, tag string, d oci.Descriptor) {
	if belongs, fallback := oci.TaggedFor(tag); belongs == "" || fallback || d.Digest == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told[repo.Tagged(tag)] = d
}

func (f *Finder) known(repo ref.Repo, tag string) (oci.Descriptor, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, known := f.told[repo.Tagged(tag)]
	return d, known
}

// Expect says what images will be looked at, each given by its repository. If there are many of one repository,
// its tags are listed from the first.
func (f *Finder) Expect(images iter.Seq[ref.Repo]) {
	n := map[ref.Repo]int{}
	for repo := range images {
		n[repo]++
	}
	for repo, n := range n {
		if n > fewDocuments {
			f.announce(repo, n)
		}
	}
}

// announce says that digest tags of n more documents of a repository will be asked for.
func (f *Finder) announce(repo ref.Repo, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.announcements[repo] += n
}
