package admit

import (
	"context"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// image is an image of a source repository, by its digest there.
type image struct {
	repo   ref.Repo
	digest oci.Digest
}

// asked is an image, or the part of it that is copied, that a gate is asked about, and the steps that its answer
// counts for.
type asked struct {
	image
	name  ref.Name
	root  oci.Descriptor // at the source
	part  plan.Trim
	gates []string // the names of gates that are asked after that of the session
	steps []int
	err   error // the answer
}

// judged is an image and the names of the gates that it must pass, one on each line.
type judged struct {
	image
	gates string
}

func (q *asked) judged() judged { return judged{q.image, strings.Join(q.gates, "\n")} }

// of returns the question about the image of a step.
func of(s plan.Step) *asked {
	root := oci.Descriptor{MediaType: s.MediaType, Digest: s.Origin(), Size: s.Size}
	return &asked{image: image{s.From.Repo, s.Origin()}, name: s.From, root: root, part: s.Trim,
		gates: s.Own.Gates}
}

// moves returns the descriptor of what the target gets.
func (q *asked) moves() oci.Descriptor {
	if q.part.Digest == "" {
		return q.root
	}
	return oci.Descriptor{MediaType: q.root.MediaType, Digest: q.part.Digest, Size: q.part.Size}
}

// attached reports whether only digest tags of the image move, and not the image itself.
func (q *asked) attached() bool { return q.root.Size == 0 && q.name.Tag == "" }

// door asks the gates of a session.
type door struct {
	*place.Session
	finder *referrers.Finder
}

// ask returns what the gate of the session and then those that q names say. Each is asked once about an image.
func (d *door) ask(ctx context.Context, q *asked) error {
	if d.Gate != nil {
		if err := d.once(ctx, "", d.Gate, q); err != nil {
			return err
		}
	}
	for _, name := range q.gates {
		g, err := d.GateNamed(name)
		if err == nil {
			err = d.once(ctx, name, g, q)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// once asks a gate about an image, unless it was asked before.
func (d *door) once(ctx context.Context, name string, g gate.Gate, q *asked) error {
	asked := place.Judged{Gate: name, Repo: q.repo, Digest: q.digest, Part: q.part}
	return d.Verdicts.Once(ctx, asked, func() error {
		at, err := d.Source(ctx, q.repo)
		if err != nil {
			return err
		}
		return g.Admit(ctx, gate.NewImage(q.name, q.root, q.moves(), source{at, d, q}))
	})
}

// source is the source repository of an image that the gate is asked about. It shares the documents of the session:
// the copy does not read again what the gate has read.
type source struct {
	place.Repository
	door *door
	q    *asked
}

// Document reads a document from what the session has read. A tag is always asked for. If only some platforms of the
// image are copied, the document that the target gets is made of that of the source.
func (r source) Document(ctx context.Context, reference string) (oci.Document, error) {
	if ref.Digest(reference) != nil {
		return r.Repository.Document(ctx, reference)
	}
	if r.q.part.Partial() && reference == string(r.q.moves().Digest) {
		return trim.Document(ctx, r.door.Documents, r.Repository, r.q.root.Digest, r.q.part)
	}
	return r.door.Documents.Read(ctx, r.Repository, oci.Digest(reference))
}

// Attachments lists what refers to the image or to a document below it, found by the walk that the copy takes. What a
// registry lists, but is about something else, is left out.
func (r source) Attachments(ctx context.Context) ([]oci.Descriptor, error) {
	all, err := r.door.finder.Near(ctx, r.Repository, r.q.root, r.q.part)
	if err != nil {
		return nil, err
	}
	about := make([]bool, len(all))
	err = place.Each(ctx, place.Lookups, place.IndexesOf(all), func(ctx context.Context, i int) error {
		doc, err := r.door.Documents.Read(ctx, r.Repository, all[i].Digest)
		if fault.Is(err, fault.NotFound) {
			return nil // an entry of the tag schema may outlive the document
		}
		about[i] = all[i].Tag != "" || doc.Subject != nil && doc.Subject.Digest == all[i].Subject
		return err
	})
	var list []oci.Descriptor
	seen := map[oci.Digest]bool{}
	for i, a := range all {
		if about[i] && !seen[a.Digest] {
			seen[a.Digest] = true
			list = append(list, a.Descriptor())
		}
	}
	return list, err
}
