package locks

import (
	"context"
	"path"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/registry/needs"
	"github.com/drayage/dray/internal/registry/tend"
	"github.com/drayage/dray/internal/registry/tree"
	"github.com/drayage/dray/ref"
)

// Spared returns a *Locked if something in repo that may not be deleted would be incomplete without d: a manifest of an
// index, or a blob of a manifest.
func (b *Book) Spared(ctx context.Context, repo string, d digest.Digest) error {
	l, err := b.Now(ctx, repo)
	if err != nil {
		return err
	}
	seen := map[digest.Digest]bool{}
	for _, name := range l.Kept() {
		root := []byte(name)
		if name != Repository && ref.Digest(name) != nil {
			if root, err = b.bytesOf(ctx, path.Join(tree.Tag(repo, name), "current/link")); err != nil {
				return err
			}
		}
		for todo := []digest.Digest{digest.Digest(root)}; len(todo) > 0; todo = todo[1:] {
			if ref.Digest(string(todo[0])) != nil || seen[todo[0]] {
				continue
			}
			seen[todo[0]] = true
			raw, err := b.bytesOf(ctx, tree.Blob(todo[0]))
			if err != nil {
				return err
			}
			list, _ := needs.Of(raw) // a damaged manifest keeps nothing
			if slices.Contains(list.All(), d) {
				return l.Delete(name)
			}
			todo = append(todo, list.Below()...)
		}
	}
	return nil
}

// bytesOf returns what is in a file, and nothing if it does not exist.
func (b *Book) bytesOf(ctx context.Context, file string) ([]byte, error) {
	raw, err := b.Driver.GetContent(ctx, file)
	if tend.Missing(err) {
		return nil, nil
	}
	return raw, err
}
