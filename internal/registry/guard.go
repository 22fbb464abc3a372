package registry

import (
	"context"
	"errors"
	"path"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/registry/tend"
	"github.com/drayage/dray/internal/registry/tree"
	"github.com/drayage/dray/ref"
)

// mayPull returns a *locks.Locked if a lock forbids to read reference, which is a tag, a digest, or "" for blobs.
func (r *Registry) mayPull(ctx context.Context, repo, reference string) error {
	l, err := r.locks.Lately(ctx, repo)
	if err != nil || l.None() || reference == "" {
		return errors.Join(err, l.Pull())
	}
	if ref.Digest(reference) == nil || ref.Tag(reference) != nil {
		return l.Pull(reference)
	}
	d, err := r.follow(ctx, path.Join(tree.Tag(repo, reference), "current"))
	if err != nil {
		return err
	}
	return l.Pull(reference, d.String())
}

// mayPush returns a *locks.Locked if a lock forbids to write tag, or any content of repo if tag is "" or a digest.
func (r *Registry) mayPush(ctx context.Context, repo, tag string) error {
	l, err := r.locks.Now(ctx, repo)
	if err != nil {
		return err
	}
	if tag == "" || ref.Digest(tag) == nil {
		return l.Push()
	}
	return l.Push(tag)
}

// mayDelete returns a *locks.Locked if a lock forbids to delete one of names.
func (r *Registry) mayDelete(ctx context.Context, repo string, names ...string) error {
	l, err := r.locks.Now(ctx, repo)
	if err != nil {
		return err
	}
	return l.Delete(names...)
}

// follow returns the digest in the link file in dir, or "" if there is no link.
func (r *Registry) follow(ctx context.Context, dir string) (digest.Digest, error) {
	raw, err := r.index.Driver.GetContent(ctx, path.Join(dir, "link"))
	if tend.Missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return digest.Parse(string(raw))
}
