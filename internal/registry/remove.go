package registry

import (
	"context"
	"errors"
	"path"
	"slices"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/registry/tend"
	"github.com/drayage/dray/internal/registry/tree"
	"github.com/drayage/dray/oci"
)

// remove removes a manifest, its entry in the referrers of its subject, and all tags that lead to it. It waits for
// those who put the same manifest, and they wait for it. A tag that a client of this process moves to another
// manifest meanwhile stays. One that a client of another process moves in the same millisecond may be lost.
func (r *Registry) remove(ctx context.Context, repo reference.Named, dgst digest.Digest) error {
	manifest := nameKey(repo, dgst.String())
	if err := r.names.Lock(ctx, manifest); err != nil {
		return err
	}
	defer r.names.Unlock(manifest)
	content, err := r.index.Store.Repository(ctx, repo)
	if err != nil {
		return err
	}
	var removed error
	err = r.index.Delete(ctx, repo, dgst, func() {
		var tags []string
		if tags, removed = content.Tags(ctx).Lookup(ctx, oci.Descriptor{Digest: dgst}); removed != nil {
			return
		}
		if removed = r.mayDelete(ctx, repo.Name(), append(slices.Clone(tags), dgst.String())...); removed != nil {
			return
		}
		if removed = r.locks.Spared(ctx, repo.Name(), dgst); removed != nil {
			return
		}
		for _, tag := range tags {
			if removed = r.untag(ctx, content, tag, dgst); removed != nil {
				return
			}
		}
		var ms distribution.ManifestService
		if ms, removed = content.Manifests(ctx); removed == nil {
			removed = ms.Delete(ctx, dgst)
		}
		if removed == nil {
			removed = r.locks.Forget(ctx, repo.Name(), dgst.String())
		}
	})
	return errors.Join(removed, err)
}

// deleteTag removes a tag with its locks, and nothing else. It waits for those who set or lock the tag, and they
// wait for it. If there is no such tag, the error is a distribution.ErrTagUnknown.
func (r *Registry) deleteTag(ctx context.Context, repo reference.Named, tag string) error {
	key := nameKey(repo, tag)
	if err := r.names.Lock(ctx, key); err != nil {
		return err
	}
	defer r.names.Unlock(key)
	if err := r.mayDelete(ctx, repo.Name(), tag); err != nil {
		return err
	}
	now, err := r.follow(ctx, path.Join(tree.Tag(repo.Name(), tag), "current"))
	if err != nil {
		return err
	}
	if now == "" {
		return distribution.ErrTagUnknown{Tag: tag}
	}
	content, err := r.index.Store.Repository(ctx, repo)
	if err != nil {
		return err
	}
	if err := content.Tags(ctx).Untag(ctx, tag); err != nil {
		return err
	}
	return r.locks.Forget(ctx, repo.Name(), tag)
}

// untag removes tag if it still leads to dgst.
func (r *Registry) untag(ctx context.Context, content distribution.Repository, tag string, dgst digest.Digest) error {
	key := nameKey(content.Named(), tag)
	if err := r.names.Lock(ctx, key); err != nil {
		return err
	}
	defer r.names.Unlock(key)
	now, err := r.follow(ctx, path.Join(tree.Tag(content.Named().Name(), tag), "current"))
	if err == nil && now != dgst {
		return nil
	}
	if err := content.Tags(ctx).Untag(ctx, tag); err != nil && !tend.Missing(err) {
		return err
	}
	return r.locks.Forget(ctx, content.Named().Name(), tag)
}

// find returns the file of a blob of a repository, and its size in bytes. If there is none, file is "".
func (r *Registry) find(ctx context.Context, repo string, d digest.Digest) (file string, size int64, err error) {
	at, err := r.follow(ctx, tree.Layer(repo, d))
	if err != nil || at == "" {
		return "", 0, err
	}
	info, err := r.index.Driver.Stat(ctx, tree.Blob(at))
	if tend.Missing(err) || err == nil && info.IsDir() {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	return tree.Blob(at), info.Size(), nil
}
