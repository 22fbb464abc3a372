package survey

import (
	"context"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// findDigests asks for the digests of the candidates for which the listing has none. An image in
// use may be known by its digest alone.
func (k *Landing) findDigests(ctx context.Context, s listing, candidates []oci.Listed) error {
	open := map[ref.Name]bool{}
	var names []ref.Name
	for _, t := range candidates {
		if n := s.at.Repo().Tagged(t.Tag); t.Descriptor.Digest == "" && !open[n] {
			open[n] = true
			names = append(names, n)
		}
	}
	// An error counts only later: if the tag is selected, it is looked up again.
	found, _, err := k.resolve(ctx, fault.Source, names, func(ref.Name) place.Repository { return s.at })
	for i, t := range s.tags {
		if d, ok := found[s.at.Repo().Tagged(t.Tag)]; ok {
			s.tags[i].Descriptor = d
		}
	}
	return err
}

func (k *Landing) setTroubled(repo ref.Repo) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = repo
}

// resolve looks names up. A name that does not exist is in neither found nor lost. That a name of a
// source does not exist, only the registry itself can say.
func (k *Landing) resolve(
	ctx context.Context, side fault.Side, names []ref.Name, at func(ref.Name) place.Repository,
) (found plan.Inventory, lost map[ref.Name]error, err error) {
	var mu sync.Mutex
	found, lost = plan.Inventory{}, map[ref.Name]error{}
	err = place.Each(ctx, maxLookups, names, func(ctx context.Context, n ref.Name) error {
		done, err := k.acquireLookup(ctx, side)
		if err != nil {
			return err
		}
		defer done()
		desc, err := at(n).Resolve(ctx, n.Reference())
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case fault.Is(err, fault.NotFound) && (side != fault.Source || !remote.IsStray(err)):
		case err != nil:
			lost[n] = fault.On(side, err)
		default:
			found[n] = desc
		}
		return nil
	})
	return found, lost, err
}
