package dray

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Local is a registry in this process. Its methods are safe for concurrent use;
// their errors are *fault.Fault without a Side.
type Local interface {
	// Open opens a repository, which need not be there yet.
	Open(repo ref.Repo) (LocalRepository, error)
	// Repositories calls visit with the path of each repository, until that returns an
	// error, and returns that.
	Repositories(ctx context.Context, visit func(path string) error) error
}

// LocalRepository is one repository of a Local.
type LocalRepository interface {
	transfer.Source
	transfer.Target

	// List calls visit with each tag and its digest, until that returns an error, and
	// returns that. NotFound is a repository that is not there.
	List(ctx context.Context, visit func(oci.Listed) error) error
	// Digests lists the manifests and indexes, tagged or not.
	Digests(ctx context.Context) ([]oci.Digest, error)
	// Delete removes a tag, and only that, or by digest a manifest with its tags.
	Delete(ctx context.Context, reference string, tags ...string) error
}

func (b *base) local(host string) (Local, bool) {
	if b.here == nil {
		return nil, false
	}
	return b.here(host)
}

// elsewhere reports whether repo is behind a registry's API.
func (b *base) elsewhere(repo ref.Repo) bool {
	_, here := b.local(repo.Host)
	return !here && !repo.IsLayout()
}

// repositories lists a registry, wherever it is.
func (b *base) repositories(ctx context.Context, host string, use remote.Use, visit func(path string) error) error {
	if here, ok := b.local(host); ok {
		return here.Repositories(ctx, visit)
	}
	return b.remote.Repositories(ctx, host, use, visit)
}

// listsDigests reports whether a listing of tags tells their digests, and tells of every tag.
func (b *base) listsDigests(host string) (tells, complete bool) {
	if _, here := b.local(host); here {
		return true, true
	}
	return b.remote.ListsDigests(host)
}

// isAbsent reports whether err says for certain that there is no such repository.
func (b *base) isAbsent(repo ref.Repo, err error) bool {
	if _, here := b.local(repo.Host); here {
		return fault.Is(err, fault.NotFound)
	}
	return remote.IsAbsent(err)
}

// deleter opens a repository to take something away from it.
func (b *base) deleter(repo ref.Repo, use remote.Use) (interface {
	Resolve(ctx context.Context, reference string) (oci.Descriptor, error)
	Delete(ctx context.Context, reference string, tags ...string) error
}, error) {
	if here, ok := b.local(repo.Host); ok {
		return here.Open(repo)
	}
	return b.remote.Open(repo, use), nil
}

// listLocal is ListManifests of a registry in this process.
func listLocal(ctx context.Context, here Local, repo ref.Repo, visit func(ManifestEntry) error) error {
	at, err := here.Open(repo)
	if err != nil {
		return err
	}
	tags := map[oci.Digest][]string{}
	err = at.List(ctx, func(l oci.Listed) error {
		tags[l.Descriptor.Digest] = append(tags[l.Descriptor.Digest], l.Tag)
		return nil
	})
	if err != nil {
		return err
	}
	all, err := at.Digests(ctx)
	if err != nil {
		return err
	}
	for _, digest := range all {
		doc, err := at.Document(ctx, string(digest))
		if fault.Is(err, fault.NotFound) { // deleted meanwhile
			continue
		}
		if err != nil {
			return err
		}
		e := ManifestEntry{Digest: digest, Tags: tags[digest], Size: doc.Size, MediaType: doc.MediaType}
		for _, b := range doc.Blobs {
			e.Size += b.Size
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}
