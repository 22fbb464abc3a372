package referrers

import (
	"context"
	"fmt"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

const (
	// MaxNesting limits how deep indexes and referrers may nest below an image.
	MaxNesting = 16

	// maxFound is the largest number of referrers of one image.
	maxFound = 10_000
)

// Of returns what refers to the image root in the repository from, in levels: what is in a level refers
// to what comes after it, or to the image. A referrer of a referrer is thus put before what it refers to.
// What refers to itself through others, in a loop, is in the levels once.
//
// The error is TooLarge if there are more than 10,000 referrers, or if they nest deeper than MaxNesting.
func (f *Finder) Of(ctx context.Context, from place.Repository, root oci.Descriptor) ([][]plan.Referrer, error) {
	return f.of(ctx, from, root, oci.Document{})
}

// OfTrimmed is Of for an image of which a part is copied, as t says. origin is the image at the source.
func (f *Finder) OfTrimmed(
	ctx context.Context, from place.Repository, root oci.Descriptor, origin oci.Digest, t plan.Trim,
) ([][]plan.Referrer, error) {
	if !t.Partial() {
		return f.Of(ctx, from, root)
	}
	part, err := trim.Document(ctx, f.session.Documents, from, origin, t)
	if err != nil {
		return nil, err
	}
	return f.OfPart(ctx, from, part)
}

// OfPart is Of for an index of which only the children in part.Documents are copied, whatever its bytes list. The
// repository need not have this index.
func (f *Finder) OfPart(ctx context.Context, from place.Repository, part oci.Document) ([][]plan.Referrer, error) {
	return f.of(ctx, from, part.Descriptor, part)
}

// Near returns what refers to an image, or to a document below it, and not what refers to that in turn. root is the
// image at the source. If a part of it is copied, as t says, Near looks at root and at the documents of that part.
func (f *Finder) Near(
	ctx context.Context, from place.Repository, root oci.Descriptor, t plan.Trim,
) ([]plan.Referrer, error) {
	if !t.Partial() {
		return f.near(ctx, from, root, oci.Document{})
	}
	part, err := trim.Document(ctx, f.session.Documents, from, root.Digest, t)
	if err != nil {
		return nil, err
	}
	all, err := f.near(ctx, from, part.Descriptor, part)
	if err != nil || part.Digest == root.Digest {
		return all, err
	}
	whole, err := f.Direct(ctx, from, root)
	return append(all, whole...), err
}

func (f *Finder) near(
	ctx context.Context, from place.Repository, root oci.Descriptor, part oci.Document,
) ([]plan.Referrer, error) {
	w := f.walk(from, root, part)
	w.near = true
	levels, err := w.all(ctx, root)
	return slices.Concat(levels...), err
}

func (f *Finder) of(
	ctx context.Context, from place.Repository, root oci.Descriptor, part oci.Document,
) ([][]plan.Referrer, error) {
	return f.walk(from, root, part).all(ctx, root)
}

// walk is the state of one walk.
type walk struct {
	*Finder
	from   place.Repository
	root   oci.Digest
	part   oci.Document // the root, if only some of its children count
	near   bool         // what refers to referrers is not looked for
	seen   map[oci.Digest]bool
	image  map[oci.Digest]bool // the part of seen that is the image: it travels anyway
	found  map[key]bool
	levels [][]plan.Referrer
}

func (f *Finder) walk(from place.Repository, root oci.Descriptor, part oci.Document) *walk {
	return &walk{Finder: f, from: from, root: root.Digest, part: part, seen: map[oci.Digest]bool{root.Digest: true},
		image: map[oci.Digest]bool{root.Digest: true}, found: map[key]bool{}}
}

// all walks from root, and returns the levels as Of does.
func (w *walk) all(ctx context.Context, root oci.Descriptor) ([][]plan.Referrer, error) {
	level := []oci.Descriptor{root}
	for range MaxNesting {
		next, err := w.step(ctx, level)
		if err != nil {
			return nil, err
		}
		if level = next; len(level) == 0 {
			if len(w.levels) == 0 {
				w.noneChosen(w.from, root.Digest, w.seen)
			}
			slices.Reverse(w.levels)
			return w.levels, nil
		}
	}
	return nil, w.tooLarge(root, fmt.Errorf("indexes or referrers are nested more than %d levels deep", MaxNesting))
}

// step finds what refers to the documents of a level, and returns the documents of the next one: their
// children and referrers.
func (w *walk) step(ctx context.Context, level []oci.Descriptor) (next []oci.Descriptor, err error) {
	below := make([][]oci.Descriptor, len(level))
	direct := make([][]plan.Referrer, len(level))
	w.announce(w.from.Repo(), len(level))
	err = place.Each(ctx, place.Lookups, place.IndexesOf(level), func(ctx context.Context, i int) (err error) {
		return place.Each(ctx, 2, []func(context.Context) error{
			func(ctx context.Context) (err error) { below[i], err = w.children(ctx, level[i]); return err },
			func(ctx context.Context) (err error) { direct[i], err = w.announced(ctx, w.from, level[i]); return err },
		}, func(ctx context.Context, do func(context.Context) error) error { return do(ctx) })
	})
	if err != nil {
		return nil, err
	}
	var found []plan.Referrer
	for i := range level {
		if w.Unread(w.from.Repo(), level[i].Digest) {
			w.noteUnread(w.from.Repo(), w.root)
		}
		for _, c := range below[i] {
			w.image[c.Digest] = w.image[c.Digest] || w.image[level[i].Digest]
			next = w.add(next, c)
		}
	}
	for i := range level {
		for _, r := range direct[i] {
			if k := (key{r.Digest, r.Tag}); !w.found[k] && (r.Tag != "" || !w.image[r.Digest]) {
				w.found[k] = true
				found = append(found, r)
			}
			if !w.near {
				next = w.add(next, r.Descriptor())
			}
		}
		if len(w.found) > maxFound {
			return nil, w.tooLarge(level[i], fmt.Errorf("more than %d referrers", maxFound))
		}
	}
	if len(found) > 0 {
		w.levels = append(w.levels, found)
	}
	return next, nil
}

func (w *walk) add(level []oci.Descriptor, d oci.Descriptor) []oci.Descriptor {
	if w.seen[d.Digest] {
		return level
	}
	w.seen[d.Digest] = true
	return append(level, d)
}

// children returns what an index lists. A document that cannot list any is not read.
func (w *walk) children(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	if d.MediaType == oci.TypeManifest || d.MediaType == oci.TypeDockerManifest {
		return nil, nil
	}
	if d.Digest == w.part.Digest {
		return w.part.Documents, nil
	}
	doc, err := w.session.Documents.Read(ctx, w.from, d.Digest)
	if fault.Is(err, fault.NotFound) {
		return nil, nil // whoever copies the document says so
	}
	return doc.Documents, err
}

func (w *walk) tooLarge(d oci.Descriptor, cause error) error {
	return &fault.Fault{Kind: fault.TooLarge, Op: "list referrers of", Name: w.from.Repo().At(string(d.Digest)).String(),
		Err: cause, Hint: "choose some with " + w.session.Base.Words.SomeReferrers()}
}
