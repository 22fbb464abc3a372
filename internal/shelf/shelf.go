package shelf

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Shelf is a bundle as a registry to read from. A blob that the bundle leaves out is read from the
// repository of the receiver that is said to hold it.
type Shelf struct {
	set       *volume.Set
	docs      map[oci.Digest]volume.Document
	absent    map[oci.Digest]volume.Absent
	elsewhere map[oci.Digest]bool      // blobs of volumes that are not given
	names     map[string][]volume.Name // by path
	tags      map[string][]volume.Name // the names that are listed, by path
	receiver  func(path string) (place.Repository, error)
}

// New returns a shelf with these names of the bundle. receiver opens a repository of the receiver by its path in the
// bundle.
func New(
	set *volume.Set, names []volume.Name, receiver func(path string) (place.Repository, error),
) *Shelf {
	s := &Shelf{
		set: set, docs: map[oci.Digest]volume.Document{}, absent: map[oci.Digest]volume.Absent{},
		elsewhere: map[oci.Digest]bool{},
		names:     map[string][]volume.Name{}, receiver: receiver,
	}
	for _, d := range set.Contents.Documents {
		s.docs[d.Digest] = d
	}
	for _, b := range set.Contents.Absent {
		s.absent[b.Digest] = b
	}
	for _, b := range set.Contents.Blobs {
		if !set.Has(b.Digest) {
			s.elsewhere[b.Digest] = true
		}
	}
	for _, n := range names {
		s.names[n.Repo] = append(s.names[n.Repo], n)
	}
	s.tags = s.names
	return s
}

// Listing returns a copy of s that lists these tags alone. What refers to them is there, too.
func (s *Shelf) Listing(names []volume.Name) *Shelf {
	c := *s
	c.tags = map[string][]volume.Name{}
	for _, n := range names {
		c.tags[n.Repo] = append(c.tags[n.Repo], n)
	}
	return &c
}

// Open implements place.Local.
func (s *Shelf) Open(repo ref.Repo) (place.LocalRepository, error) { return &shelved{s, repo}, nil }

// Subject implements place.Base.Subject. It reads the document, because the list of the bundle may say anything.
func (s *Shelf) Subject(ctx context.Context, n ref.Name) oci.Digest {
	doc, err := (&shelved{s, n.Repo}).Document(ctx, n.Digest)
	if err != nil || doc.Subject == nil {
		return "" // the gate is asked about it
	}
	return doc.Subject.Digest
}

// Repositories implements place.Local.
func (s *Shelf) Repositories(_ context.Context, visit func(path string) error) error {
	var paths []string
	for path, names := range s.tags {
		if slices.ContainsFunc(names, func(n volume.Name) bool { return n.Tag != "" }) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		if err := visit(path); err != nil {
			return err
		}
	}
	return nil
}

// shelved is one repository of a shelf.
type shelved struct {
	*Shelf
	repo ref.Repo
}

// Repo implements transfer.Source.
func (r *shelved) Repo() ref.Repo { return r.repo }

// Resolve implements transfer.Source. All repositories of a bundle share its content.
func (r *shelved) Resolve(_ context.Context, reference string) (oci.Descriptor, error) {
	d := oci.Digest(reference)
	for _, n := range r.names[r.repo.Path] {
		if n.Tag != "" && n.Tag == reference {
			d = n.Digest
		}
	}
	doc, known := r.docs[d]
	if !known {
		return oci.Descriptor{}, notFound("resolve", r.nameOf(reference))
	}
	return doc.Descriptor(), nil
}

func (r *shelved) nameOf(reference string) string {
	if ref.Digest(reference) == nil {
		return r.repo.At(reference).String()
	}
	return r.repo.Tagged(reference).String()
}

// Document implements transfer.Source. A digest tag that the bundle leaves out, because the receiver has it, is read
// there: it is evidence for a gate.
func (r *shelved) Document(ctx context.Context, reference string) (oci.Document, error) {
	d, err := r.Resolve(ctx, reference)
	if fault.Is(err, fault.NotFound) && r.set.Contents.Receiver != "" && oci.IsDigestTag(reference) {
		at, away := r.receiver(r.repo.Path)
		if fault.Is(away, fault.NotFound) {
			return oci.Document{}, err
		}
		if away != nil {
			return oci.Document{}, away
		}
		return at.Document(ctx, reference)
	}
	if err != nil {
		return oci.Document{}, err
	}
	return r.set.Document(r.docs[d.Digest])
}

// Blob implements transfer.Source.
func (r *shelved) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	if r.set.Has(d.Digest) {
		body, err := r.set.Blob(d.Digest, at, n)
		return body, at, err
	}
	left, known := r.absent[d.Digest]
	if !known && (r.elsewhere[d.Digest] || r.set.Contents.Receiver != "") {
		// An earlier load has sent it from another volume, or it is of a document of the receiver.
		left, known = volume.Absent{At: r.repo.Path}, true
	}
	if !known {
		return nil, 0, notFound("read blob", r.nameOf(string(d.Digest)))
	}
	holder, err := r.receiver(left.At)
	if err != nil {
		return nil, 0, err
	}
	body, from, err := holder.Blob(ctx, d, at, n)
	if fault.Is(err, fault.NotFound) {
		name := holder.Repo().At(string(d.Digest)).String()
		if r.elsewhere[d.Digest] {
			return nil, 0, &fault.Fault{Kind: fault.NotFound, Op: "read blob", Name: name,
				Err: errors.New("it is in a volume that is not given"), Hint: "load all volumes of the bundle together"}
		}
		err = &fault.Fault{Kind: fault.NotFound, Op: "read blob", Name: name,
			Err: errors.New("the bundle leaves it out, because the list of the receiver had it, and the receiver lost it"),
			Hint: "list again what the receiver has, with " + shell.Dray("bundle", "have", "TARGET") +
				", and make a bundle from that list"}
	}
	return body, from, err
}

// Referrers implements transfer.Source.
func (r *shelved) Referrers(_ context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	var out []oci.Descriptor
	for _, n := range r.names[r.repo.Path] {
		if n.Subject != d.Digest || slices.ContainsFunc(out, func(o oci.Descriptor) bool { return o.Digest == n.Digest }) {
			continue
		}
		doc, err := r.set.Document(r.docs[n.Digest])
		if err != nil {
			return nil, err
		}
		out = append(out, doc.AsReferrer())
	}
	slices.SortFunc(out, func(a, b oci.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return out, nil
}

// List implements place.Repository.
func (r *shelved) List(_ context.Context, visit func(oci.Listed) error) error {
	var tags []oci.Listed
	for _, n := range r.tags[r.repo.Path] {
		if n.Tag != "" {
			tags = append(tags, oci.Listed{Tag: n.Tag, Descriptor: r.docs[n.Digest].Descriptor()})
		}
	}
	if len(tags) == 0 {
		return notFound("list tags", r.repo.String())
	}
	slices.SortFunc(tags, func(a, b oci.Listed) int { return cmp.Compare(a.Tag, b.Tag) })
	for _, t := range tags {
		if err := visit(t); err != nil {
			return err
		}
	}
	return nil
}

// Digests implements place.LocalRepository.
func (r *shelved) Digests(context.Context) ([]oci.Digest, error) {
	var out []oci.Digest
	for _, n := range r.names[r.repo.Path] {
		out = append(out, n.Digest)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Keeps implements transfer.Target.
func (r *shelved) Keeps(_, _ []oci.Descriptor) error { return r.readOnly() }

// Missing implements transfer.Target.
func (r *shelved) Missing(context.Context, []oci.Descriptor) ([]oci.Descriptor, error) {
	return nil, r.readOnly()
}

// Prove implements transfer.Target.
func (r *shelved) Prove(context.Context, []oci.Descriptor) ([]oci.Descriptor, error) {
	return nil, r.readOnly()
}

// Distrust implements transfer.Target. What Verify has read is not doubted.
func (r *shelved) Distrust([]oci.Descriptor) {}

// Put implements transfer.Target.
func (r *shelved) Put(context.Context, oci.Descriptor, []ref.Repo, oci.Opener) (oci.Arrival, error) {
	return oci.Arrival{}, r.readOnly()
}

// PutDocument implements transfer.Target.
func (r *shelved) PutDocument(context.Context, oci.Document, ...string) (oci.Accepted, error) {
	return oci.Accepted{}, r.readOnly()
}

// Delete implements place.LocalRepository.
func (r *shelved) Delete(context.Context, string, ...string) error { return r.readOnly() }

func (r *shelved) readOnly() error {
	return &fault.Fault{Kind: fault.Refused, Op: "write", Name: r.repo.String(), Err: errors.New("a bundle is only read")}
}

func notFound(op, name string) error {
	return &fault.Fault{Kind: fault.NotFound, Op: op, Name: name, Err: errors.New("the bundle does not have it")}
}
