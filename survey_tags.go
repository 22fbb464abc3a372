package dray

import (
	"context"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/layout"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// sourceTags lists repo, and asks for the digest of each tag that the listing
// does not tell. A tag that vanishes meanwhile is left out.
func (s *session) sourceTags(ctx context.Context, repo ref.Repo) (plan.Inventory, error) {
	at, err := s.source(repo)
	if err != nil {
		return nil, err
	}
	inv, open, err := listed(ctx, at, nil)
	if err != nil {
		return nil, fault.On(fault.Source, err)
	}
	var mu sync.Mutex
	err = each(ctx, lookups, open, func(ctx context.Context, n ref.Name) error {
		desc, err := at.Resolve(ctx, n.Tag)
		if fault.Is(err, fault.NotFound) {
			s.observe(event.Event{Kind: event.Noted, Name: n.String(), Text: "listed, and gone when it was asked for: " + n.String()})
			return nil
		}
		if err != nil {
			return fault.On(fault.Source, err)
		}
		mu.Lock()
		defer mu.Unlock()
		inv[n] = desc
		return nil
	})
	return inv, err
}

// listed reads the listing of at: the names whose digests it tells, and the
// others. wanted, if not nil, says which tags count.
func listed(ctx context.Context, at place, wanted map[string]bool) (inv plan.Inventory, open []ref.Name, err error) {
	inv = plan.Inventory{}
	err = at.List(ctx, func(l oci.Listed) error {
		n := at.Repo().Tagged(l.Tag)
		switch {
		case wanted != nil && !wanted[l.Tag]:
		case l.Descriptor.Digest == "":
			open = append(open, n)
		default:
			inv[n] = l.Descriptor
		}
		return nil
	})
	return inv, open, err
}

// targetTags adds to inv what repo holds under the wanted tags. Of tags whose
// digests are not listed, only those that are listed are asked for.
func (s *session) targetTags(ctx context.Context, repo ref.Repo, wanted map[string]bool, inv plan.Inventory) error {
	if absent(repo) {
		return nil
	}
	at, err := s.target(repo, layout.Read)
	if err != nil {
		return err
	}
	told, open, err := listed(ctx, at, wanted)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return fault.On(fault.Target, err)
	}
	held, err := s.surveyTargets(ctx, open, "")
	for _, some := range []plan.Inventory{told, held} {
		for n, desc := range some {
			inv[n] = desc
		}
	}
	return err
}
