package bundle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// gathering collects the contents of a bundle.
type gathering struct {
	stage  *stage
	out    volume.Contents
	listed map[oci.Digest]bool // what out has: all repositories share it

	seen   map[held]bool
	sparse map[held]bool   // indexes of which only some images were needed so far
	named  map[string]bool // the names, as their String
}

// gather finds out what the bundle has: the names that the steps set, except those that the receiver has,
// their referrers, and everything that these need.
func (s *stage) gather(ctx context.Context, steps []report.Step, made time.Time) (*volume.Contents, error) {
	g := &gathering{
		stage: s, listed: map[oci.Digest]bool{}, seen: map[held]bool{}, sparse: map[held]bool{}, named: map[string]bool{},
	}
	g.out.Made = made.UTC().Truncate(time.Second)
	from := map[string]string{} // by path: where referrers come from
	for _, step := range steps {
		n := nameOf(step)
		from[n.Repo] = n.From
		p, known := s.doc(n.Repo, n.Digest)
		if n.Tag != "" && s.has.Tag(n.Repo, n.Tag) == n.Digest && (!known || !n.Sparse()) {
			continue // a sparse index that the receiver has too was put because the receiver may lack some of its images
		}
		if !known && n.Tag == "" && s.refers(n.Repo, n.Digest) {
			continue
		}
		if !known {
			return nil, lost(step.To, "the manifest "+string(n.Digest))
		}
		n.Subject = p.Subject
		g.named[n.String()] = true
		g.out.Names = append(g.out.Names, n)
		if err := g.need(ctx, n, p); err != nil {
			return nil, err
		}
	}
	for path, source := range from {
		if err := g.referrers(ctx, path, source); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(g.out.Names, func(a, b volume.Name) int { return strings.Compare(a.String(), b.String()) })
	g.out.Names = slices.Compact(g.out.Names)
	return &g.out, nil
}

// nameOf returns the name that a step sets.
func nameOf(step report.Step) volume.Name {
	n := volume.Name{Repo: step.To.Path, Tag: step.To.Tag, Digest: step.Digest(), From: step.From.Repo.String()}
	if step.Trim.Partial() {
		n.Platforms = step.Trim.Platforms
	}
	if step.Trim.Digest != "" {
		n.Origin = step.Origin()
	}
	return n
}

// referrers adds the documents of a repository that refer to what the bundle has, or to what the receiver
// has. A document that refers to an image which an earlier, interrupted run staged is left out with it.
func (g *gathering) referrers(ctx context.Context, path, source string) error {
	all := g.stage.all(path)
	slices.SortFunc(all, func(a, b put) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	for again := true; again; {
		again = false
		for _, p := range all {
			for _, n := range g.referring(p) {
				n.From = source
				g.out.Names = append(g.out.Names, n)
				if err := g.need(ctx, n, p); err != nil {
					return err
				}
				again = true
			}
		}
	}
	return nil
}

// referring returns the names that a document has because it refers to something: one without a tag, and its
// digest tags. Names that are known are left out.
func (g *gathering) referring(p put) (names []volume.Name) {
	carried := func(subject oci.Digest) bool {
		_, staged := g.stage.doc(p.Repo, subject)
		return subject != "" && (g.seen[held{p.Repo, subject}] || !staged)
	}
	if carried(p.Subject) && !g.seen[held{p.Repo, p.Digest}] {
		names = append(names, volume.Name{Repo: p.Repo, Digest: p.Digest, Subject: p.Subject})
	}
	for _, tag := range g.stage.tagsOf(p) {
		n := volume.Name{Repo: p.Repo, Tag: tag, Digest: p.Digest, Subject: p.Subject}
		subject, _ := oci.TaggedFor(tag)
		if carried(subject) && !g.named[n.String()] && g.stage.has.Tag(n.Repo, tag) != n.Digest {
			g.named[n.String()] = true
			names = append(names, n)
		}
	}
	return names
}

// need adds a document, and everything below it.
func (g *gathering) need(ctx context.Context, n volume.Name, root put) error {
	for next := []put{root}; len(next) > 0; {
		p := next[len(next)-1]
		next = next[:len(next)-1]
		at := held{n.Repo, p.Digest}
		partly := n.Sparse() && p.Digest == n.Digest
		if g.seen[at] && (partly || !g.sparse[at]) {
			continue
		}
		doc, err := g.stage.read(ctx, p)
		if err != nil {
			return err
		}
		if !g.listed[p.Digest] {
			g.listed[p.Digest] = true
			g.out.Documents = append(g.out.Documents,
				volume.Document{Digest: doc.Digest, Size: doc.Size, MediaType: doc.MediaType})
		}
		g.seen[at], g.sparse[at] = true, partly
		if partly {
			only, err := n.Only()
			if err != nil {
				return err
			}
			doc.Documents = slices.DeleteFunc(oci.Sparse(doc, only, nil).Documents, func(d oci.Descriptor) bool {
				_, known := g.stage.doc(n.Repo, d.Digest)
				return oci.IsNested(d) && !known // it has none of these platforms
			})
		}
		foreign, err := g.foreign(ctx, doc)
		if err != nil {
			return err
		}
		if err := g.blobs(ctx, n, slices.Concat(doc.Blobs, foreign)); err != nil {
			return err
		}
		for _, c := range doc.Documents {
			below, known := g.stage.doc(n.Repo, c.Digest)
			if !known {
				return lost(ref.Repo{Host: Host, Path: n.Repo}.Tagged(n.Tag), "the manifest "+string(c.Digest))
			}
			next = append(next, below)
		}
	}
	return nil
}

// foreign returns the foreign layers of a document that were copied along.
func (g *gathering) foreign(ctx context.Context, doc oci.Document) (staged []oci.Descriptor, err error) {
	for _, f := range doc.Foreign {
		lack, err := g.stage.lacks(ctx, []oci.Descriptor{f})
		if err != nil {
			return nil, err
		}
		if len(lack) == 0 {
			staged = append(staged, f)
		}
	}
	return staged, nil
}

// blobs adds the blobs of a document.
func (g *gathering) blobs(ctx context.Context, n volume.Name, blobs []oci.Descriptor) error {
	for _, b := range blobs {
		if g.listed[b.Digest] {
			continue
		}
		g.listed[b.Digest] = true
		lack, err := g.stage.lacks(ctx, []oci.Descriptor{b})
		if err != nil {
			return err
		}
		holder, there := g.stage.has.Holder(b.Digest)
		switch {
		case there:
			g.out.Absent = append(g.out.Absent, volume.Absent{Digest: b.Digest, Size: b.Size, At: holder})
		case len(lack) > 0:
			return lost(ref.Repo{Host: Host, Path: n.Repo}.Tagged(n.Tag), "the blob "+string(b.Digest))
		default:
			g.out.Blobs = append(g.out.Blobs, volume.Blob{Digest: b.Digest, Size: b.Size})
		}
	}
	return nil
}

// lost is the error for content that was staged and is not there.
func lost(n ref.Name, what string) error {
	return &fault.Fault{Kind: fault.Corrupt, Side: fault.Target, Op: "create bundle", Name: n.String(),
		Hint: "run the same command again",
		Err:  errors.New(what + " was copied, and is not on the disk any more")}
}
