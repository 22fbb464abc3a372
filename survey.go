package dray

import (
	"context"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// lookups is how many names one survey asks for at once.
const lookups = 64

// surveySource asks what n is. It costs one HEAD.
func (s *session) surveySource(ctx context.Context, n ref.Name) (plan.Inventory, error) {
	at, err := s.source(n.Repo)
	if err != nil {
		return nil, err
	}
	desc, err := at.Resolve(ctx, reference(n))
	if err != nil {
		return nil, fault.On(fault.Source, s.nearest(ctx, n, err))
	}
	return s.found(n, desc), nil
}

// readSource asks for n itself, where it will be needed anyway: one GET instead of a HEAD and a GET.
func (s *session) readSource(ctx context.Context, n ref.Name) (plan.Inventory, error) {
	at, err := s.source(n.Repo)
	if err != nil {
		return nil, err
	}
	doc, err := at.Document(ctx, reference(n))
	if err != nil {
		return nil, fault.On(fault.Source, s.nearest(ctx, n, err))
	}
	s.mu.Lock()
	s.docs[doc.Digest] = doc
	s.mu.Unlock()
	return s.found(n, doc.Descriptor), nil
}

func (s *session) found(n ref.Name, desc oci.Descriptor) plan.Inventory {
	s.observe(event.Event{Kind: event.Resolved, Side: string(fault.Source), Name: n.String(), Digest: string(desc.Digest)})
	return plan.Inventory{n: desc}
}

// reference is what a registry is asked for. A layout is asked for "", which is its only image, where nothing is named.
func reference(n ref.Name) string {
	if n.IsLayout() && n.Tag == "" && n.Digest == "" {
		return ""
	}
	return n.Reference()
}

// surveyTargets asks what the names hold. A name without a tag is asked for by
// digest. What is not there is not in the inventory.
func (s *session) surveyTargets(ctx context.Context, names []ref.Name, digest oci.Digest) (plan.Inventory, error) {
	var mu sync.Mutex
	inv := plan.Inventory{}
	err := each(ctx, lookups, names, func(ctx context.Context, n ref.Name) error {
		desc, err := s.lookAtTarget(ctx, n, digest)
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

func (s *session) lookAtTarget(ctx context.Context, n ref.Name, digest oci.Digest) (oci.Descriptor, error) {
	if absent(n.Repo) {
		return oci.Descriptor{}, nil
	}
	at, err := s.target(n.Repo, layout.Read)
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

// each calls do for every item, at most n at once, and waits for all. The first error cancels the others and is returned.
func each[T any](ctx context.Context, n int, items []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	places := make(chan struct{}, n)
	var wg sync.WaitGroup
	for _, item := range items {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-places }()
			if err := do(ctx, item); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
