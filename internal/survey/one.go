package survey

import (
	"context"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Source asks what n is. It costs one HEAD.
func Source(ctx context.Context, s *place.Session, n ref.Name) (plan.Inventory, error) {
	at, err := s.Source(n.Repo)
	if err != nil {
		return nil, err
	}
	desc, err := at.Resolve(ctx, Reference(n))
	if err != nil {
		return nil, fault.On(fault.Source, Nearest(ctx, s, n, err))
	}
	return foundAs(s, n, desc), nil
}

// Read asks for n itself, where it will be needed anyway: one GET instead of a HEAD and a GET.
func Read(ctx context.Context, s *place.Session, n ref.Name) (plan.Inventory, error) {
	at, err := s.Source(n.Repo)
	if err != nil {
		return nil, err
	}
	doc, err := at.Document(ctx, Reference(n))
	if err != nil {
		return nil, fault.On(fault.Source, Nearest(ctx, s, n, err))
	}
	s.Keep(doc)
	return foundAs(s, n, doc.Descriptor), nil
}

func foundAs(s *place.Session, n ref.Name, desc oci.Descriptor) plan.Inventory {
	s.Observe(event.Event{Kind: event.Resolved, Side: string(fault.Source), Name: n.String(), Digest: string(desc.Digest)})
	return plan.Inventory{n: desc}
}

// Reference is what a registry is asked for. A layout is asked for "", which is its only image, where nothing is named.
func Reference(n ref.Name) string {
	if n.IsLayout() && n.Tag == "" && n.Digest == "" {
		return ""
	}
	return n.Reference()
}

// Targets asks what the names hold. A name without a tag is asked for by
// digest. What is not there is not in the inventory.
func Targets(ctx context.Context, s *place.Session, names []ref.Name, digest oci.Digest) (plan.Inventory, error) {
	var mu sync.Mutex
	inv := plan.Inventory{}
	err := place.Each(ctx, place.Lookups, names, func(ctx context.Context, n ref.Name) error {
		desc, err := Target(ctx, s, n, digest)
		if err != nil || desc.Digest == "" {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		inv[n] = desc
		return nil
	})
	return inv, err
}

// Target asks what n holds at a target. The zero Descriptor is nothing. A name without a tag is
// asked for by digest.
func Target(ctx context.Context, s *place.Session, n ref.Name, digest oci.Digest) (oci.Descriptor, error) {
	if place.Absent(n.Repo) {
		return oci.Descriptor{}, nil
	}
	at, err := s.Target(n.Repo, layout.Read)
	if err != nil {
		return oci.Descriptor{}, err
	}
	asked := n.Tag
	if asked == "" {
		asked = string(digest)
	}
	desc, err := at.Resolve(ctx, asked)
	if fault.Is(err, fault.NotFound) {
		return oci.Descriptor{}, nil
	}
	return desc, fault.On(fault.Target, err)
}
