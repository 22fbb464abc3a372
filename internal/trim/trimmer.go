package trim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Trimmer finds out what of images is copied. It asks for each image once. It is safe for concurrent use.
type Trimmer struct {
	want   plan.Platforms
	proves bool // see Proving

	mu    sync.Mutex
	known map[oci.Digest]part
}

// New returns a Trimmer for the platforms of p. If p asks for all, it copies all of every image, and asks
// nothing.
func New(p plan.Platforms) *Trimmer {
	p.Only = oci.NormalPlatforms(p.Only)
	return &Trimmer{want: p}
}

// Proving is New for a Trimmer that proves what it says: it does not believe an index that says of itself that it
// was trimmed.
func Proving(p plan.Platforms) *Trimmer {
	t := New(p)
	t.proves = true
	return t
}

// For returns the Trimmer of a run. One that trusts no target, or that reads every image at the source, proves what it
// says.
func For(p plan.Platforms, overwrite plan.Overwrite, referrers plan.Referrers) *Trimmer {
	if overwrite == plan.Always || referrers.InSync() {
		return Proving(p)
	}
	return New(p)
}

// Trims reports whether not all platforms are copied.
func (t *Trimmer) Trims() bool { return !t.want.All() }

// Answer says what of images is copied.
type Answer struct {
	Trims plan.Trims
	Lost  map[ref.Name]error // images that are not copied, because they lack a platform or cannot be read
	Notes []string           // name the images that are left out: they have none of the platforms, which are optional
	Left  int                // how many names are left out
}

// Images finds out what of the images in src is copied, and takes those out of src that are not. dst says what
// the targets have under the names that targets returns for an image. If such a name has no tag, Images looks at
// the target for what the image becomes, because dst says at most whether the target has the whole of it.
//
// An earlier run may have found it out. Otherwise the target tells, without a request to the source: an index
// that was trimmed says of which index and to which platforms, and a target that has the image itself is
// read in place of the source. Only then the image is read from the source.
func (t *Trimmer) Images(
	ctx context.Context, s *place.Session, src, dst plan.Inventory, targets func(from ref.Name) []ref.Name,
) (Answer, error) {
	a := Answer{Trims: plan.Trims{}, Lost: map[ref.Name]error{}}
	if !t.Trims() {
		return a, nil
	}
	names := map[oci.Digest][]ref.Name{} // an image may have many names
	for _, n := range slices.SortedFunc(maps.Keys(src), ref.Name.Compare) {
		if d := src[n].Digest; d != "" {
			names[d] = append(names[d], n)
		}
	}
	held := func(n ref.Name) (there []ref.Name) {
		for _, to := range targets(n) {
			there = append(there, to.Repo.At(string(dst[to].Digest)))
		}
		return there
	}
	r := recall(s, t.want, names)
	var mu sync.Mutex
	var none []ref.Name
	err := place.Each(ctx, place.Lookups, slices.Collect(maps.Keys(names)), func(ctx context.Context, d oci.Digest) error {
		p, err := t.find(ctx, s, r, names[d], d, held)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, n := range names[d] {
			switch {
			case err != nil:
				a.Lost[n] = fault.On(fault.Source, err)
			case p.none:
				none = append(none, n)
			case len(p.lacks) > 0 && t.want.Lacks == plan.Required:
				a.Lost[n] = t.missing(s, n, p)
			}
		}
		if p.trim != (plan.Trim{}) {
			a.Trims[d] = p.trim
		}
		return nil
	})
	r.note(s)
	for n := range a.Lost {
		delete(src, n)
	}
	for _, n := range none {
		delete(src, n)
	}
	a.Left = len(none)
	a.Notes = append(t.leftOut(none), leaveSigned(src, a.Trims)...)
	if err != nil {
		return a, err
	}
	behind, err := chosen{t.want, names, src, a.Trims, settled(src, dst, targets)}.behind(ctx, s)
	if err != nil {
		return a, err
	}
	a.Notes = append(a.Notes, leaveWith(src, behind)...)
	return a, loose(ctx, s, src, dst, a.Trims, targets)
}

// loose looks at the targets for the trimmed images that get no tag there.
func loose(
	ctx context.Context, s *place.Session, src, dst plan.Inventory, trims plan.Trims, targets func(ref.Name) []ref.Name,
) error {
	var at []ref.Name
	for n, desc := range src {
		for _, to := range targets(n) {
			if d := trims.Becomes(desc.Digest); to.Tag == "" && d != desc.Digest && !place.Absent(to.Repo) {
				delete(dst, to)
				at = append(at, to.Repo.At(string(d)))
			}
		}
	}
	var mu sync.Mutex
	return place.Each(ctx, place.Lookups, at, func(ctx context.Context, n ref.Name) error {
		repo, err := s.Target(ctx, n.Repo, layout.Read)
		if err != nil {
			return err
		}
		desc, err := repo.Resolve(ctx, n.Digest)
		switch {
		case fault.Is(err, fault.NotFound):
			return nil
		case err != nil:
			return fault.On(fault.Target, err)
		}
		mu.Lock()
		defer mu.Unlock()
		dst[n] = desc
		return nil
	})
}

// leftOut returns a note for each repository that has images without any of the platforms.
func (t *Trimmer) leftOut(images []ref.Name) (notes []string) {
	slices.SortFunc(images, ref.Name.Compare)
	for len(images) > 0 {
		const most = 10
		n := slices.IndexFunc(images, func(n ref.Name) bool { return n.Repo != images[0].Repo })
		if n < 0 {
			n = len(images)
		}
		var words []string
		for _, name := range images[:min(n, most)] {
			words = append(words, name.String())
		}
		if n > most {
			words = append(words, fmt.Sprintf("and %d more", n-most))
		}
		notes = append(notes, fmt.Sprintf("left out, because they are not for %s: %s",
			oci.PlatformsString(t.want.Only), strings.Join(words, ", ")))
		images = images[n:]
	}
	return notes
}

func (t *Trimmer) missing(s *place.Session, n ref.Name, p part) error {
	return fault.On(fault.Source, Missing("copy platforms of", n, p.lacks, p.has,
		"name platforms that it has, or use "+s.Base.Words.PlatformOptional()+" to copy those that are there"))
}

// find finds out what of one image is copied. names are its names at the source.
func (t *Trimmer) find(
	ctx context.Context, s *place.Session, r *recalled, names []ref.Name, d oci.Digest,
	held func(ref.Name) []ref.Name,
) (part, error) {
	t.mu.Lock()
	p, known := t.known[d]
	t.mu.Unlock()
	if known {
		return p, nil
	}
	p, known = r.of(names[0].Repo, d)
	if !known {
		p, known = t.atTargets(ctx, s, names, d, held)
	}
	if known && (len(p.lacks) == 0 || t.want.Lacks == plan.Optional) { // else the error needs all platforms
		r.learn(names[0].Repo, d, p)
		t.keep(d, p)
		return p, nil
	}
	at, err := s.Source(ctx, names[0].Repo)
	if err != nil {
		return part{}, err
	}
	if p, err = t.read(ctx, s, at, d); err != nil {
		return part{}, err
	}
	r.learn(names[0].Repo, d, p)
	t.keep(d, p)
	return p, nil
}

func (t *Trimmer) keep(d oci.Digest, p part) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[oci.Digest]part{}
	}
	t.known[d] = p
}

// atTargets asks the targets what they know of an image. Whatever goes wrong there, the source can tell.
func (t *Trimmer) atTargets(
	ctx context.Context, s *place.Session, names []ref.Name, d oci.Digest, held func(ref.Name) []ref.Name,
) (part, bool) {
	seen := map[ref.Name]bool{}
	for _, n := range names {
		for _, h := range held(n) {
			if seen[h] || h.Digest == "" {
				continue
			}
			seen[h] = true
			at, err := s.Target(ctx, h.Repo, layout.Read)
			if err != nil {
				continue
			}
			if h.Digest == string(d) {
				if p, err := t.read(ctx, s, at, d); err == nil {
					return p, true
				}
				continue
			}
			if t.want.Form == plan.Sparse || t.proves || s.Gate != nil || s.Base.Trims == nil {
				continue // what the target says of itself must not pass a gate, nor stand alone
			}
			doc, err := s.Documents.Read(ctx, at, oci.Digest(h.Digest))
			if err != nil {
				continue
			}
			asked := oci.PlatformsString(t.want.Only)
			if from, to := oci.TrimmedFrom(doc); from == d && to == asked {
				return part{trim: plan.Trim{Digest: doc.Digest, Size: doc.Size, Platforms: to}, believed: true}, true
			}
		}
	}
	return part{}, false
}

// read reads an image and finds out what of it is copied.
func (t *Trimmer) read(ctx context.Context, s *place.Session, at place.Repository, d oci.Digest) (part, error) {
	doc, err := s.Documents.Read(ctx, at, d)
	if err != nil {
		return part{}, err
	}
	got, err := PartOf(ctx, s.Documents, at, doc, t.want.Only, t.want.Form)
	if err != nil {
		return part{}, err
	}
	p := part{has: got.Has}
	p.lack(got.Lacks)
	switch {
	case len(got.Has) > 0 && len(got.Found) == 0:
		p.none = t.want.Lacks == plan.Optional
	case got.Digest != d:
		p.trim.Digest, p.trim.Size, p.trim.Platforms = got.Digest, got.Size, oci.PlatformsString(got.Found)
	case len(got.Documents) < len(doc.Documents):
		p.trim.Form, p.trim.Platforms = plan.Sparse, oci.PlatformsString(got.Found)
	}
	return p, nil
}
