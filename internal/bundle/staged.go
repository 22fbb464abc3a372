package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// staged is one repository of a stage.
type staged struct {
	*stage
	repo ref.Repo
}

// Repo implements transfer.Target.
func (r *staged) Repo() ref.Repo { return r.repo }

// Resolve implements transfer.Target. A digest that the receiver has under a tag counts as there.
func (r *staged) Resolve(_ context.Context, reference string) (oci.Descriptor, error) {
	if ref.Digest(reference) == nil {
		if p, ok := r.doc(r.repo.Path, oci.Digest(reference)); ok {
			return p.descriptor(), nil
		}
		return oci.Descriptor{}, notFound("resolve", r.repo.At(reference).String())
	}
	if d, ok := r.tag(r.repo.Path, reference); ok {
		return d, nil
	}
	return oci.Descriptor{}, notFound("resolve", r.repo.Tagged(reference).String())
}

// Document implements transfer.Source, for what was staged.
func (r *staged) Document(ctx context.Context, reference string) (oci.Document, error) {
	d, err := r.Resolve(ctx, reference)
	if err != nil {
		return oci.Document{}, err
	}
	p, ok := r.doc(r.repo.Path, d.Digest)
	if !ok {
		return oci.Document{}, notFound("read manifest", r.repo.At(string(d.Digest)).String())
	}
	return r.read(ctx, p)
}

// read reads a document of the stage, and verifies it.
func (s *stage) read(ctx context.Context, p put) (oci.Document, error) {
	body, _, err := s.blobs.Blob(ctx, p.descriptor(), 0, -1)
	if err != nil {
		return oci.Document{}, err
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	if err != nil {
		return oci.Document{}, err
	}
	return oci.Parse(p.descriptor(), raw)
}

// Blob implements transfer.Source.
func (r *staged) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	return r.blobs.Blob(ctx, d, at, n)
}

// Referrers implements transfer.Source.
func (r *staged) Referrers(_ context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	var out []oci.Descriptor
	for _, p := range r.all(r.repo.Path) {
		if p.Subject == d.Digest {
			out = append(out, p.descriptor())
		}
	}
	slices.SortFunc(out, func(a, b oci.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return out, nil
}

// Keeps implements transfer.Target. A bundle keeps digests of every algorithm.
func (r *staged) Keeps(_, _ []oci.Descriptor) error { return nil }

// Missing implements transfer.Target. A blob that the receiver has is not missing.
func (r *staged) Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	lack, err := r.blobs.Missing(ctx, blobs)
	return slices.DeleteFunc(lack, func(b oci.Descriptor) bool { return r.elsewhere(b.Digest) }), err
}

// Prove implements transfer.Target.
func (r *staged) Prove(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	return r.Missing(ctx, blobs)
}

// Distrust implements transfer.Target.
func (r *staged) Distrust(blobs []oci.Descriptor) { r.blobs.Distrust(blobs) }

// Put implements transfer.Target.
func (r *staged) Put(ctx context.Context, d oci.Descriptor, _ []ref.Repo, open oci.Opener) (oci.Arrival, error) {
	lack, err := r.Missing(ctx, []oci.Descriptor{d})
	if err == nil && len(lack) == 0 {
		return oci.Arrival{Way: oci.Present}, nil
	}
	return r.blobs.Put(ctx, d, nil, open)
}

// PutDocument implements transfer.Target.
func (r *staged) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	open := func(context.Context, int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(doc.Raw)), nil
	}
	if _, err := r.blobs.Put(ctx, doc.Descriptor, nil, open); err != nil {
		return oci.Accepted{}, err
	}
	p := put{Repo: r.repo.Path, Tags: tags, Digest: doc.Digest, Size: doc.Size, MediaType: doc.MediaType}
	if doc.Subject != nil {
		p.Subject = doc.Subject.Digest
	}
	if err := r.journal.add(p); err != nil {
		return oci.Accepted{}, err
	}
	r.note(p)
	return oci.Accepted{Tags: tags, Subject: p.Subject}, nil
}

// List implements place.Repository.
func (r *staged) List(_ context.Context, visit func(oci.Listed) error) error {
	tags := r.tags(r.repo.Path)
	if len(tags) == 0 {
		return notFound("list tags", r.repo.String())
	}
	return listed(tags, visit)
}

// Digests implements place.LocalRepository.
func (r *staged) Digests(context.Context) ([]oci.Digest, error) {
	var out []oci.Digest
	for _, p := range r.all(r.repo.Path) {
		out = append(out, p.Digest)
	}
	slices.Sort(out)
	return out, nil
}

// Delete implements place.LocalRepository. Nothing is deleted from a bundle.
func (r *staged) Delete(_ context.Context, reference string, _ ...string) error {
	return &fault.Fault{Kind: fault.Refused, Op: "delete", Name: r.repo.String() + " " + reference,
		Err: errors.New("nothing is deleted from a bundle")}
}
