package landing

import (
	"context"
	"slices"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// findDigests asks for the digests of the candidates for which the listing has none. An image in
// use may be known by its digest alone.
func (k *Landing) findDigests(ctx context.Context, s listed, candidates []int32) error {
	open := slices.DeleteFunc(slices.Clone(candidates), func(i int32) bool { return s.tags.Known(int(i)) })
	name := func(i int) ref.Name { return s.at.Repo().Tagged(s.tags.Tag(int(open[i]))) }
	at := func(ref.Name) place.Repository { return s.at }
	// An error counts only later: if the tag is selected, it is looked up again.
	return k.lookUp(ctx, fault.Source, len(open), name, at, func(i int, d oci.Descriptor, _ error) {
		if d.Digest != "" {
			s.tags.Set(int(open[i]), d)
		}
	})
}

func (k *Landing) setTroubled(repo ref.Repo) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = repo
}

// resolve looks names up. A name that does not exist is in neither found nor lost.
func (k *Landing) resolve(
	ctx context.Context, side fault.Side, names []ref.Name, at func(ref.Name) place.Repository,
) (found plan.Inventory, lost map[ref.Name]error, err error) {
	found, lost = plan.Inventory{}, map[ref.Name]error{}
	name := func(i int) ref.Name { return names[i] }
	err = k.lookUp(ctx, side, len(names), name, at, func(i int, d oci.Descriptor, err error) {
		if err != nil {
			lost[names[i]] = err
		} else if d.Digest != "" {
			found[names[i]] = d
		}
	})
	return found, lost, err
}

// lookUp looks up n names, and calls told with the answer for each, one at a time: what it points to, nothing if it
// does not exist, or an error. That a name of a source does not exist, only the registry itself can say.
func (k *Landing) lookUp(
	ctx context.Context, side fault.Side, n int, name func(int) ref.Name, at func(ref.Name) place.Repository,
	told func(int, oci.Descriptor, error),
) error {
	var mu sync.Mutex
	all := place.IndexesOf(make([]struct{}, n))
	return place.Each(ctx, survey.MaxLookups, all, func(ctx context.Context, i int) error {
		done, err := k.acquireLookup(ctx, side)
		if err != nil {
			return err
		}
		defer done()
		n := name(i)
		desc, err := at(n).Resolve(ctx, n.Reference())
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case fault.Is(err, fault.NotFound) && (side != fault.Source || !remote.IsStray(err)):
			told(i, oci.Descriptor{}, nil)
		case err != nil:
			told(i, oci.Descriptor{}, fault.On(side, err))
		default:
			told(i, desc, nil)
		}
		return nil
	})
}

func brokenStep(from, to ref.Name, err error) plan.Step {
	return plan.Step{Action: plan.Broken, From: from, To: to, Problem: plan.ProblemOf(err)}
}
