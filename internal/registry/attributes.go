package registry

import (
	"context"
	"errors"
	"path"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/locks"
	"github.com/drayage/dray/internal/registry/tend"
	"github.com/drayage/dray/internal/registry/tree"
	"github.com/drayage/dray/ref"
)

// Locks returns the locks of the repository, of its tags and of its manifests.
func (s *Store) Locks(ctx context.Context) (locks.Locks, error) {
	const op = "read locks of"
	done, err := s.begin(ctx, op, "")
	if err != nil {
		return locks.Locks{}, err
	}
	defer done()
	l, err := s.reg.locks.Now(ctx, s.repo.Path)
	if err != nil {
		return locks.Locks{}, s.failed(ctx, op, "", err)
	}
	return l, nil
}

// SetLocks changes what may be done with name: locks.Repository, a tag or a digest. It returns the new attributes. If
// name does not exist, the error is NotFound.
func (s *Store) SetLocks(
	ctx context.Context, name string, change func(locks.Attributes) locks.Attributes,
) (locks.Attributes, error) {
	const op = "lock"
	done, err := s.beginWrite(ctx, op, name)
	if err != nil {
		return locks.Attributes{}, err
	}
	defer done()
	// The key of the repository has the name "", and those who write anything of the repository share it.
	if err := s.reg.names.Lock(ctx, nameKey(s.name, name)); err != nil {
		return locks.Attributes{}, s.failed(ctx, op, name, err)
	}
	defer s.reg.names.Unlock(nameKey(s.name, name))
	if name == locks.Repository {
		_, err = s.reg.index.Driver.Stat(ctx, tree.Manifests(s.repo.Path))
		if tend.Missing(err) {
			err = s.notFound(op, "")
		}
	} else {
		_, _, err = s.manifest(ctx, op, name)
	}
	if err != nil {
		return locks.Attributes{}, s.failed(ctx, op, name, err)
	}
	l, err := s.reg.locks.Now(ctx, s.repo.Path)
	if err != nil {
		return locks.Attributes{}, s.failed(ctx, op, name, err)
	}
	a := change(l.Of(name))
	if err := s.reg.locks.Set(ctx, s.repo.Path, name, a); err != nil {
		return locks.Attributes{}, s.failed(ctx, op, name, err)
	}
	return a, nil
}

// Times returns when reference was first set or put, and when last, as the storage knows it. A tag that is set again to
// the same manifest counts as new.
func (s *Store) Times(ctx context.Context, reference string) (created, updated time.Time, err error) {
	const op = "read times of"
	done, err := s.begin(ctx, op, reference)
	if err != nil {
		return created, updated, err
	}
	defer done()
	var dir string
	switch {
	case ref.Digest(reference) == nil:
		dir = tree.Revision(s.repo.Path, digest.Digest(reference))
	case ref.Tag(reference) == nil:
		dir = path.Join(tree.Tag(s.repo.Path, reference), "current")
	default:
		return created, updated, s.notFound(op, reference)
	}
	info, err := s.reg.index.Driver.Stat(ctx, path.Join(dir, "link"))
	switch {
	case tend.Missing(err):
		return created, updated, s.notFound(op, reference)
	case err != nil:
		return created, updated, s.failed(ctx, op, reference, err)
	case ref.Digest(reference) == nil:
		return info.ModTime(), info.ModTime(), nil
	}
	created, err = s.reg.index.FirstTagged(ctx, s.repo.Path, reference)
	if err != nil {
		return created, updated, s.failed(ctx, op, reference, err)
	}
	if created.IsZero() || created.After(info.ModTime()) {
		created = info.ModTime()
	}
	return created, info.ModTime(), nil
}

// DeleteAll removes the repository: its tags, its manifests and its locks. It returns how many manifests and tags it
// removed, also with an error. Blobs stay until the clean-up of the registry. If anything in the repository may not be
// deleted, the error is Conflict and nothing is removed. If the repository does not exist, it is NotFound.
func (s *Store) DeleteAll(ctx context.Context) (manifests, tags int, err error) {
	const op = "delete repository"
	done, err := s.beginWrite(ctx, op, "")
	if err != nil {
		return 0, 0, err
	}
	defer done()
	if err := s.reg.names.Lock(ctx, nameKey(s.name, "")); err != nil {
		return 0, 0, s.failed(ctx, op, "", err)
	}
	defer s.reg.names.Unlock(nameKey(s.name, ""))
	manifests, tags, err = s.deleteAll(ctx)
	if err != nil {
		return manifests, tags, s.failed(ctx, op, "", err)
	}
	return manifests, tags, nil
}

func (s *Store) deleteAll(ctx context.Context) (manifests, tags int, err error) {
	driver, top := s.reg.index.Driver, tree.Manifests(s.repo.Path)
	if _, err := driver.Stat(ctx, top); tend.Missing(err) {
		return 0, 0, &fault.Fault{Kind: fault.NotFound, Op: "delete repository", Name: s.repo.String()}
	} else if err != nil {
		return 0, 0, err
	}
	l, err := s.reg.locks.Now(ctx, s.repo.Path)
	if err != nil {
		return 0, 0, err
	}
	if err := l.Delete(l.Kept()...); err != nil {
		return 0, 0, err
	}
	all, err := s.reg.index.Digests(ctx, s.name)
	if err != nil {
		return 0, 0, err
	}
	names, err := driver.List(ctx, tree.Tag(s.repo.Path, ""))
	if err != nil && !tend.Missing(err) {
		return 0, 0, err
	}
	for _, file := range names {
		if err := driver.Delete(ctx, file); err != nil && !tend.Missing(err) {
			return 0, tags, err
		}
		tags++
	}
	for _, d := range all {
		if err := s.reg.remove(ctx, s.name, d); err != nil && !errors.Is(err, distribution.ErrBlobUnknown) {
			return manifests, tags, err
		}
		manifests++
	}
	if err := driver.Delete(ctx, top); err != nil && !tend.Missing(err) {
		return manifests, tags, err
	}
	return manifests, tags, s.reg.locks.Forget(ctx, s.repo.Path, locks.Repository)
}

// Delete removes a tag and nothing else, if reference is a tag. If reference is a digest, it
// removes the manifest and all tags that point to it. If there is no such tag or manifest, the
// error is NotFound.
func (s *Store) Delete(ctx context.Context, reference string, _ ...string) error {
	const op = "delete"
	done, err := s.beginWrite(ctx, op, reference)
	if err != nil {
		return err
	}
	defer done()
	dgst, _, err := s.manifest(ctx, op, reference)
	if err != nil {
		return err
	}
	if ref.Digest(reference) == nil {
		err = s.reg.remove(ctx, s.name, dgst)
	} else {
		err = s.reg.deleteTag(ctx, s.name, reference)
	}
	if _, gone := errors.AsType[distribution.ErrTagUnknown](err); gone {
		return s.notFound(op, reference)
	}
	if err != nil {
		return s.failed(ctx, op, reference, err)
	}
	return nil
}
