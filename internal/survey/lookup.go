package survey

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Source resolves n at the source with one HEAD request.
func Source(ctx context.Context, s *place.Session, n ref.Name) (plan.Inventory, error) {
	at, err := s.Source(ctx, n.Repo)
	if err != nil {
		return nil, err
	}
	desc, err := at.Resolve(ctx, Reference(n))
	if err != nil {
		return nil, fault.On(fault.Source, nearest.Hint(ctx, s, n, err))
	}
	return foundAs(s, n, desc), nil
}

// Read reads the document that n points to, for callers that need the document anyway: one GET
// instead of a HEAD and a GET.
func Read(ctx context.Context, s *place.Session, n ref.Name) (plan.Inventory, error) {
	at, err := s.Source(ctx, n.Repo)
	if err != nil {
		return nil, err
	}
	doc, err := at.Document(ctx, Reference(n))
	if err != nil {
		return nil, fault.On(fault.Source, nearest.Hint(ctx, s, n, err))
	}
	s.Documents.Keep(doc)
	return foundAs(s, n, doc.Descriptor), nil
}

func foundAs(s *place.Session, n ref.Name, desc oci.Descriptor) plan.Inventory {
	observeResolved(s, n, desc)
	return plan.Inventory{n: desc}
}

// observeResolved reports that the source has n.
func observeResolved(s *place.Session, n ref.Name, desc oci.Descriptor) {
	s.Observe(event.Event{
		Kind: event.Resolved, Side: string(fault.Source), Name: n.String(), Digest: string(desc.Digest),
	})
}

// Reference returns the reference to ask a repository for. For a layout without a tag or digest it
// is "", which means the layout's only image.
func Reference(n ref.Name) string {
	if n.IsLayout() && n.Tag == "" && n.Digest == "" {
		return ""
	}
	return n.Reference()
}

// Targets resolves names at the target. A name without a tag is looked up by digest. A name that
// does not exist is not in the inventory.
func Targets(ctx context.Context, s *place.Session, names []ref.Name, digest oci.Digest) (plan.Inventory, error) {
	return eachTarget(ctx, names, func(ctx context.Context, n ref.Name) (oci.Descriptor, error) {
		return Target(ctx, s, n, digest)
	})
}

// targets is Targets for names that will be set, see Draft.target.
func (p *Draft) targets(ctx context.Context, names []ref.Name, digest oci.Digest) (plan.Inventory, error) {
	return eachTarget(ctx, names, func(ctx context.Context, n ref.Name) (oci.Descriptor, error) {
		return p.target(ctx, n, digest, p.Overwrite)
	})
}

func eachTarget(
	ctx context.Context, names []ref.Name, look func(context.Context, ref.Name) (oci.Descriptor, error),
) (plan.Inventory, error) {
	var mu sync.Mutex
	inv := plan.Inventory{}
	err := place.Each(ctx, place.Lookups, names, func(ctx context.Context, n ref.Name) error {
		desc, err := look(ctx, n)
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

// Target resolves n at the target. It returns the zero Descriptor if n does not exist. A name
// without a tag is looked up by digest.
func Target(ctx context.Context, s *place.Session, n ref.Name, digest oci.Digest) (oci.Descriptor, error) {
	if place.Absent(n.Repo) {
		return oci.Descriptor{}, nil
	}
	at, err := s.Target(ctx, n.Repo, layout.Read)
	if err != nil {
		return oci.Descriptor{}, err
	}
	desc, err := at.Resolve(ctx, cmp.Or(n.Tag, string(digest)))
	if fault.Is(err, fault.NotFound) {
		return oci.Descriptor{}, nil
	}
	return desc, fault.On(fault.Target, err)
}

// target is Target for a name that will be set. Some registries answer 403 for a name that does not
// exist. If the name may be replaced anyway, it is set without knowing what it was. If not, the
// error says what is not known.
func (p *Draft) target(
	ctx context.Context, n ref.Name, digest oci.Digest, overwrite plan.Overwrite,
) (oci.Descriptor, error) {
	desc, err := Target(ctx, p.session, n, digest)
	words := p.session.Base.Words
	const unknown = "the target does not say whether this name exists"
	switch {
	case !remote.IsForbidden(err):
		return desc, err
	case overwrite == plan.Refuse, p.Backup != (plan.Backup{}):
		hint := fault.HintOf(err) + "; or use " + words.Replace(p.Verb) + " to replace what is there"
		if overwrite != plan.Refuse {
			hint = fault.HintOf(err) + "; or leave " + words.Backup() + " out"
		}
		return desc, &fault.Fault{Kind: fault.Denied, Side: fault.Target, Op: "look for", Name: n.String(), Hint: hint,
			Err: fmt.Errorf("%s, and it must not be replaced unseen: %w", unknown, err)}
	}
	p.session.Observe(event.Event{
		Kind: event.Noted, Name: n.String(), Text: unknown + ", it is set without looking: " + n.String(),
		Err: err,
	})
	return oci.Descriptor{}, nil
}
