package trim

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// leaveSigned takes the digest tags out of src that belong to an index of which the target gets a trimmed one: they
// are about another digest.
func leaveSigned(src plan.Inventory, trims plan.Trims) (notes []string) {
	n := drop(src, func(_ ref.Name, subject oci.Digest) bool { return trims[subject].Digest != "" })
	switch {
	case n == 1:
		notes = append(notes, "1 digest tag of a whole index stays behind, because the target gets a trimmed one")
	case n > 1:
		notes = append(notes, fmt.Sprintf(
			"%d digest tags of whole indexes stay behind, because the target gets trimmed ones", n))
	}
	return notes
}

// leaveWith takes the digest tags out of src that belong to images that stay behind.
func leaveWith(src plan.Inventory, behind map[image]bool) (notes []string) {
	n := drop(src, func(name ref.Name, subject oci.Digest) bool { return behind[image{name.Repo, subject}] })
	switch {
	case n == 1:
		notes = append(notes, "1 digest tag stays behind with its image")
	case n > 1:
		notes = append(notes, fmt.Sprintf("%d digest tags stay behind with their images", n))
	}
	return notes
}

// drop takes the digest tags out of src for which f is true, and counts them.
func drop(src plan.Inventory, f func(name ref.Name, subject oci.Digest) bool) (n int) {
	for name := range src {
		if subject, list := oci.TaggedFor(name.Tag); subject != "" && !list && f(name, subject) {
			delete(src, name)
			n++
		}
	}
	return n
}

// image is an image of a repository.
type image struct {
	repo   ref.Repo
	digest oci.Digest
}

// settled returns what tells whether all targets have a name as the source has it.
func settled(src, dst plan.Inventory, targets func(ref.Name) []ref.Name) func(ref.Name) bool {
	return func(n ref.Name) bool {
		return !slices.ContainsFunc(targets(n), func(to ref.Name) bool { return dst[to].Digest != src[n].Digest })
	}
}

// chosen is what of the images in src is copied.
type chosen struct {
	only    plan.Platforms
	names   map[oci.Digest][]ref.Name // all images, with those that are not copied
	src     plan.Inventory
	trims   plan.Trims
	settled func(ref.Name) bool // whether the targets have it already
}

// behind returns the images that are not copied, and those below them. It reads indexes only if src has digest
// tags of images without a name, and some target does not have these yet.
func (c chosen) behind(ctx context.Context, s *place.Session) (map[image]bool, error) {
	all := map[image]bool{}
	nameless := map[ref.Repo]bool{} // has digest tags of images without a name
	for n := range c.src {
		subject, list := oci.TaggedFor(n.Tag)
		if subject != "" && !list && c.names[subject] == nil && !c.settled(n) {
			nameless[n.Repo] = true
		}
	}
	kept := map[image]bool{}
	for _, d := range slices.Sorted(maps.Keys(c.names)) {
		for _, n := range c.names[d] {
			_, copied := c.src[n]
			if is := (image{n.Repo, d}); copied {
				kept[is] = true
			} else {
				all[is] = true
			}
			if !nameless[n.Repo] || copied && !c.trims[d].Partial() {
				continue
			}
			if err := c.below(ctx, s, image{n.Repo, d}, copied, all, kept); err != nil {
				return nil, err
			}
		}
	}
	maps.DeleteFunc(all, func(i image, _ bool) bool { return kept[i] })
	return all, nil
}

// below adds the images below an index to behind, and those of them that are copied to kept.
func (c chosen) below(
	ctx context.Context, s *place.Session, of image, copied bool, behind, kept map[image]bool,
) error {
	at, err := s.Source(ctx, of.repo)
	if err != nil {
		return err
	}
	doc, err := s.Documents.Read(ctx, at, of.digest)
	if err != nil {
		return stopped(ctx) // the image is named as one that cannot be read
	}
	for _, d := range doc.Documents {
		behind[image{of.repo, d.Digest}] = true
	}
	if !copied {
		return nil
	}
	part, err := PartOf(ctx, s.Documents, at, doc, c.only.Only, c.only.Form)
	if err != nil {
		return stopped(ctx)
	}
	for _, d := range part.Documents {
		kept[image{of.repo, d.Digest}] = true
	}
	return nil
}

func stopped(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
