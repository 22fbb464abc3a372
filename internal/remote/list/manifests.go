package list

import (
	"context"
	"fmt"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/oci"
)

// Manifests calls visit for each manifest and index of the repository. If visit returns an error,
// Manifests stops and returns that error unchanged. Untagged manifests are included if the registry
// lists them (ACR, ECR, Harbor, GHCR, gcr.io, Artifact Registry). For other registries, each digest
// that a tag points to is visited once, and an event says that there may be more manifests.
func (r *Lister) Manifests(ctx context.Context, visit func(Manifest) error) error {
	s := &manifestSieve{visit: visit, seen: map[oci.Digest]bool{}, name: r.Repo.String(), share: r.taught.share()}
	defer s.share.leave()
	return r.inBulk(ctx, func() error { return s.stop }, func(ctx context.Context, b *bulk) (bool, error) {
		if b.manifests != nil {
			return b.manifests(ctx, s.show)
		}
		return r.byTags(ctx, s, b.tags)
	}, func(ctx context.Context) error {
		_, err := r.byTags(ctx, s, nil)
		return err
	})
}

// byTags visits the targets of tags. tags is the registry's own list. If it is nil, the plain list
// is used, which may contain manifests, too.
func (r *Lister) byTags(ctx context.Context, s *manifestSieve, tags reader[oci.Listed]) (unknown bool, err error) {
	var listed []oci.Listed
	told := false
	filter := &sieve{seen: newNames(), op: "list tags of", name: r.Repo.String(), share: s.share}
	filter.visit = func(l oci.Listed) error {
		listed = append(listed, l)
		return nil
	}
	defer func() { filter.odd.tell(r.Observe, r.Host.Name, filter.name, "tags") }()
	if tags != nil {
		unknown, err = tags(ctx, filter.show)
	} else {
		err = r.listPlain(ctx, filter, func(images []Manifest) error {
			told = told || len(images) > 0
			_, err := s.show(images)
			return err
		})
	}
	if s.stop != nil || err != nil || told {
		return unknown, err
	}
	if err := r.resolveListed(ctx, listed); err != nil {
		return false, err
	}
	r.Observe.Tell(event.Event{Kind: event.Noted, Host: r.Host.Name, Name: r.Repo.String(),
		Text: fmt.Sprintf("%s lists tags only: manifests of %s without a tag are not shown", r.Host.Name, r.Repo)})
	_, err = s.show(grouped(listed))
	return false, err
}

// resolveListed resolves the tags that a list returned without digests. A tag that was deleted
// meanwhile stays without a digest.
func (r *Lister) resolveListed(ctx context.Context, listed []oci.Listed) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	places := make(limit.Gate, limit.Abreast)
	var wg sync.WaitGroup
	for i := range listed {
		if listed[i].Descriptor.Digest != "" {
			continue
		}
		if places.Enter(ctx) != nil {
			break
		}
		wg.Go(func() {
			defer places.Leave()
			d, err := r.resolve(ctx, listed[i].Tag)
			if err != nil && !fault.Is(err, fault.NotFound) {
				cancel(err)
			}
			listed[i].Descriptor = d
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// grouped returns one Manifest for all tags that share a digest, in the order of their first
// occurrence.
func grouped(listed []oci.Listed) []Manifest {
	var all []Manifest
	at := map[oci.Digest]int{}
	for _, l := range listed {
		d := l.Descriptor.Digest
		i, seen := at[d]
		if !seen {
			i = len(all)
			at[d] = i
			all = append(all, Manifest{Descriptor: l.Descriptor, Created: l.Created, Updated: l.Updated})
		}
		all[i].Tags = append(all[i].Tags, l.Tag)
		if l.Updated.After(all[i].Updated) {
			all[i].Updated = l.Updated
		}
	}
	return all
}

// Every is Manifests for registries that list manifests. For other registries, told is false, and
// visit was not called; the cost is at most that of a list of tags.
func (r *Lister) Every(ctx context.Context, visit func(Manifest) error) (told bool, err error) {
	s := &manifestSieve{visit: visit, seen: map[oci.Digest]bool{}, name: r.Repo.String(), share: r.taught.share()}
	defer s.share.leave()
	err = r.inBulk(ctx, func() error { return s.stop }, func(ctx context.Context, b *bulk) (bool, error) {
		if b.manifests == nil {
			return false, nil
		}
		told = true
		return b.manifests(ctx, s.show)
	}, func(ctx context.Context) error {
		told = false
		tags := &sieve{
			seen:  newNames(),
			op:    "list tags of",
			name:  r.Repo.String(),
			share: s.share,
			visit: func(oci.Listed) error { return nil },
		}
		return r.listPlain(ctx, tags, func(images []Manifest) error {
			told = told || len(images) > 0
			_, err := s.show(images)
			return err
		})
	})
	return told, err
}
