package remote

import (
	"context"

	"github.com/drayage/dray/oci"
)

// Every is Manifests of registries that list manifests. Elsewhere told is false, and
// visit was not called; it costs no more there than a list of tags.
func (r *Repository) Every(ctx context.Context, visit func(Manifest) error) (told bool, err error) {
	s := &manifestSieve{visit: visit, seen: map[oci.Digest]bool{}, name: r.repo.String()}
	err = r.inBulk(ctx, func() error { return s.stop }, func(ctx context.Context, b *bulk) (bool, error) {
		if b.manifests == nil {
			return false, nil
		}
		told = true
		return b.manifests(ctx, s.show)
	}, func(ctx context.Context) error {
		told = false
		tags := &sieve{seen: map[string]bool{}, op: "list tags of", name: r.repo.String(), visit: func(oci.Listed) error { return nil }}
		return r.listPlain(ctx, tags, func(images []Manifest) error {
			told = told || len(images) > 0
			_, err := s.show(images)
			return err
		})
	})
	return told, err
}
