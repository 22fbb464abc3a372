package remote

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// Manifest is one manifest or index of a repository, as a listing tells of it.
type Manifest struct {
	// Descriptor has the Digest always; the rest where the listing tells it. Size is that of the document.
	oci.Descriptor

	Tags    []string  // all that point to it
	Total   int64     // bytes of the image below it, as the registry counts them; 0 where that is not told
	Created time.Time // zero where that is not told
	Updated time.Time // zero where that is not told
}

// Manifests calls visit for each manifest and index of the repository, until
// visit returns an error, which Manifests returns as it is. Those without a tag
// are among them where the registry lists them (ACR, ECR, Harbor, GHCR, gcr.io,
// Artifact Registry). Elsewhere each digest that a tag points to is visited
// once, and an event says that there may be more.
func (r *Repository) Manifests(ctx context.Context, visit func(Manifest) error) error {
	s := &manifestSieve{visit: visit, seen: map[oci.Digest]bool{}, name: r.repo.String()}
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

// manifestSieve lets each manifest through once.
type manifestSieve struct {
	visit func(Manifest) error
	seen  map[oci.Digest]bool
	stop  error // what visit returned
	name  string
}

func (s *manifestSieve) show(rows []Manifest) (fresh int, err error) {
	for _, m := range rows {
		if m.Digest == "" || s.seen[m.Digest] {
			continue
		}
		if len(s.seen) == maxListed {
			return fresh, &fault.Fault{Kind: fault.TooLarge, Op: "list manifests of", Name: s.name, Err: fmt.Errorf("more than %d manifests", maxListed)}
		}
		s.seen[m.Digest] = true
		fresh++
		if s.stop = s.visit(m); s.stop != nil {
			return fresh, s.stop
		}
	}
	return fresh, nil
}

// byTags visits what tags point to. tags is the registry's own list; nil is the
// plain one, which may tell of manifests all the same.
func (r *Repository) byTags(ctx context.Context, s *manifestSieve, tags func(context.Context, func([]oci.Listed) (int, error)) (bool, error)) (unknown bool, err error) {
	var listed []oci.Listed
	told := false
	filter := &sieve{seen: map[string]bool{}, op: "list tags of", name: r.repo.String(), visit: func(l oci.Listed) error {
		listed = append(listed, l)
		return nil
	}}
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
	r.observe.Tell(event.Event{Kind: event.Noted, Host: r.host.name, Name: r.repo.String(),
		Text: fmt.Sprintf("%s lists tags only: manifests of %s without a tag are not shown", r.host.name, r.repo)})
	_, err = s.show(grouped(listed))
	return false, err
}

// resolveListed asks for the digests that a list of tags left out. A tag that is gone by then keeps none.
func (r *Repository) resolveListed(ctx context.Context, listed []oci.Listed) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	places := make(gate, small)
	var wg sync.WaitGroup
	for i := range listed {
		if listed[i].Descriptor.Digest != "" {
			continue
		}
		if places.enter(ctx) != nil {
			break
		}
		wg.Go(func() {
			defer places.leave()
			d, err := r.Resolve(ctx, listed[i].Tag)
			if err != nil && !fault.Is(err, fault.NotFound) {
				cancel(err)
			}
			listed[i].Descriptor = d
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// grouped makes one manifest of all tags that share a digest, in the order in which they come up.
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
