package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sync"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/tend"
	"github.com/drayage/dray/internal/registry/tree"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Store is a repository of the registry without HTTP. It is a transfer.Source and a
// transfer.Target that use the storage directly. What a Store writes can be read over HTTP, and
// the other way around. It is safe for concurrent use.
//
// A Store supports only sha256. Content with another algorithm is Refused.
type Store struct {
	reg  *Registry
	repo ref.Repo
	name reference.Named

	doubted sync.Map // set of oci.Digest: the next Put writes the blob even if it is there
}

// Store opens the repository repo, which does not have to exist yet. repo.Host is the name of
// this registry; only repositories with equal Hosts share blobs. If the path is not a valid
// repository name, the error is Invalid.
func (r *Registry) Store(repo ref.Repo) (*Store, error) {
	name, err := reference.WithName(repo.Path)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "open repository", Name: repo.String(), Err: err}
	}
	return &Store{reg: r, repo: repo, name: name}, nil
}

// Repo implements transfer.Source and transfer.Target.
func (s *Store) Repo() ref.Repo { return s.repo }

// Resolve implements transfer.Source and transfer.Target.
func (s *Store) Resolve(ctx context.Context, reference string) (oci.Descriptor, error) {
	const op = "resolve"
	done, err := s.begin(ctx, op, reference)
	if err != nil {
		return oci.Descriptor{}, err
	}
	defer done()
	dgst, raw, err := s.manifest(ctx, op, reference)
	if err != nil {
		return oci.Descriptor{}, err
	}
	doc, err := oci.Parse(oci.Descriptor{Digest: dgst}, raw)
	if err != nil { // the file is damaged; Resolve still returns the digest, and reading the document reports the damage
		return oci.Descriptor{Digest: dgst, Size: int64(len(raw))}, nil
	}
	return doc.Descriptor, nil
}

// Document implements transfer.Source.
func (s *Store) Document(ctx context.Context, reference string) (oci.Document, error) {
	const op = "read manifest"
	done, err := s.begin(ctx, op, reference)
	if err != nil {
		return oci.Document{}, err
	}
	defer done()
	if err := s.reg.mayPull(ctx, s.repo.Path, reference); err != nil {
		return oci.Document{}, s.failed(ctx, op, reference, err)
	}
	dgst, raw, err := s.manifest(ctx, op, reference)
	if err != nil {
		return oci.Document{}, err
	}
	return oci.Parse(oci.Descriptor{Digest: dgst}, raw)
}

// manifest reads the bytes of the manifest for reference. It does not verify them.
func (s *Store) manifest(ctx context.Context, op, reference string) (oci.Digest, []byte, error) {
	dgst := digest.Digest(reference)
	if ref.Digest(reference) != nil {
		if ref.Tag(reference) != nil {
			return "", nil, s.notFound(op, reference)
		}
		var err error
		if dgst, err = s.reg.follow(ctx, path.Join(tree.Tag(s.repo.Path, reference), "current")); err != nil {
			return "", nil, s.failed(ctx, op, reference, err)
		}
	}
	if dgst == "" {
		return "", nil, s.notFound(op, reference)
	}
	at, err := s.reg.follow(ctx, tree.Revision(s.repo.Path, dgst))
	if err != nil {
		return "", nil, s.failed(ctx, op, reference, err)
	}
	if at == "" {
		return "", nil, s.notFound(op, reference)
	}
	raw, err := s.reg.index.Driver.GetContent(ctx, tree.Blob(at))
	switch {
	case tend.Missing(err):
		return "", nil, s.notFound(op, reference)
	case err != nil:
		return "", nil, s.failed(ctx, op, reference, err)
	}
	return dgst, raw, nil
}

// Blob implements transfer.Source. It can seek, so from is always at.
func (s *Store) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	const op = "read blob"
	done, err := s.begin(ctx, op, string(d.Digest))
	if err != nil {
		return nil, 0, err
	}
	defer done()
	file, size, err := s.find(ctx, d.Digest)
	if err == nil {
		err = s.reg.mayPull(ctx, s.repo.Path, "")
	}
	switch {
	case err != nil:
		return nil, 0, s.failed(ctx, op, string(d.Digest), err)
	case file == "":
		return nil, 0, s.notFound(op, string(d.Digest))
	case at < 0 || at > size:
		return nil, 0, s.fault(fault.Invalid, op, string(d.Digest), fmt.Errorf("byte %d of %d", at, size))
	case at == size: // drivers need not support a reader at the end of a file
		return io.NopCloser(bytes.NewReader(nil)), at, nil
	}
	body, err := s.reg.index.Driver.Reader(ctx, file, at)
	if err != nil {
		return nil, 0, s.failed(ctx, op, string(d.Digest), err)
	}
	if n < 0 {
		return body, at, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(body, n), body}, at, nil
}

// find returns the file of a blob of this repository, and its size in bytes. If there is none,
// file is "".
func (s *Store) find(ctx context.Context, d digest.Digest) (file string, size int64, err error) {
	if ref.Digest(string(d)) != nil {
		return "", 0, nil
	}
	return s.reg.find(ctx, s.repo.Path, d)
}

// Referrers implements transfer.Source.
func (s *Store) Referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	const op = "list referrers of"
	done, err := s.begin(ctx, op, string(d.Digest))
	if err != nil {
		return nil, err
	}
	defer done()
	var all []oci.Descriptor
	for last := ""; ; {
		page, next, err := s.reg.index.List(ctx, s.name, d.Digest, "", last)
		if err != nil {
			return nil, s.failed(ctx, op, string(d.Digest), err)
		}
		all = append(all, page...)
		if next == "" {
			return all, nil
		}
		last = next
	}
}

// List calls visit with each tag and its digest, in order. If visit returns an error, List stops
// and returns that error. If the repository does not exist, the error is NotFound.
func (s *Store) List(ctx context.Context, visit func(oci.Listed) error) error {
	const op = "list tags of"
	done, err := s.begin(ctx, op, "")
	if err != nil {
		return err
	}
	defer done()
	r, err := s.reg.index.Store.Repository(ctx, s.name)
	if err != nil {
		return s.failed(ctx, op, "", err)
	}
	tags, err := r.Tags(ctx).All(ctx)
	var unknown distribution.ErrRepositoryUnknown
	switch {
	case errors.As(err, &unknown):
		return s.notFound(op, "")
	case err != nil:
		return s.failed(ctx, op, "", err)
	}
	l, err := s.reg.locks.Lately(ctx, s.repo.Path)
	if err != nil {
		return s.failed(ctx, op, "", err)
	}
	for _, tag := range tags {
		if ctx.Err() != nil {
			return s.failed(ctx, op, "", context.Cause(ctx))
		}
		if !l.Of(tag).List {
			continue
		}
		dgst, err := s.reg.follow(ctx, path.Join(tree.Tag(s.repo.Path, tag), "current"))
		if err != nil {
			return s.failed(ctx, op, tag, err)
		}
		if dgst == "" { // the tag was deleted in the meantime
			continue
		}
		if err := visit(oci.Listed{Tag: tag, Descriptor: oci.Descriptor{Digest: dgst}}); err != nil {
			return err
		}
	}
	return nil
}

// Digests lists the manifests and indexes of the repository, tagged or not, sorted.
func (s *Store) Digests(ctx context.Context) ([]oci.Digest, error) {
	const op = "list manifests of"
	done, err := s.begin(ctx, op, "")
	if err != nil {
		return nil, err
	}
	defer done()
	all, err := s.reg.index.Digests(ctx, s.name)
	if err != nil {
		return nil, s.failed(ctx, op, "", err)
	}
	l, err := s.reg.locks.Lately(ctx, s.repo.Path)
	if err != nil {
		return nil, s.failed(ctx, op, "", err)
	}
	return slices.DeleteFunc(all, func(d oci.Digest) bool { return !l.Of(string(d)).List }), nil
}

// Repositories calls visit with the path of each repository, in order. If visit returns an error,
// Repositories stops and returns that error.
func (r *Registry) Repositories(ctx context.Context, visit func(path string) error) error {
	if !r.enter() {
		return errClosed("list repositories of", "")
	}
	defer r.running.Done()
	hidden, err := r.locks.Hidden(ctx)
	if err != nil {
		return faultOf(ctx, "list repositories of", "the embedded registry", err)
	}
	var stop error // distribution's walk does not distinguish errors of visit from errors of the storage
	err = r.index.Repositories(ctx, func(name string) error {
		if hidden != nil && hidden(name) {
			return ctx.Err()
		}
		stop = visit(name)
		return errors.Join(stop, ctx.Err())
	})
	switch {
	case stop != nil:
		return stop
	case err != nil:
		return faultOf(ctx, "list repositories of", "the embedded registry", err)
	}
	return nil
}

// begin registers a running method. It returns an error if ctx has ended or the registry is
// closed.
func (s *Store) begin(ctx context.Context, op, reference string) (done func(), err error) {
	if ctx.Err() != nil {
		return nil, s.failed(ctx, op, reference, context.Cause(ctx))
	}
	if !s.reg.enter() {
		return nil, errClosed(op, s.named(reference))
	}
	return s.reg.running.Done, nil
}

func (s *Store) named(reference string) string {
	switch {
	case reference == "":
		return s.repo.String()
	case ref.Digest(reference) == nil:
		return s.repo.At(reference).String()
	}
	return s.repo.Tagged(reference).String()
}

func (s *Store) notFound(op, reference string) error {
	return &fault.Fault{Kind: fault.NotFound, Op: op, Name: s.named(reference)}
}

func (s *Store) fault(kind fault.Kind, op, reference string, err error) error {
	return &fault.Fault{Kind: kind, Op: op, Name: s.named(reference), Err: err}
}

// failed converts an error of the storage, or the end of ctx, to a fault.
func (s *Store) failed(ctx context.Context, op, reference string, err error) error {
	return faultOf(ctx, op, s.named(reference), err)
}

func (r *Registry) link(ctx context.Context, dir string, d digest.Digest) error {
	return r.index.Driver.PutContent(ctx, path.Join(dir, "link"), []byte(d))
}
