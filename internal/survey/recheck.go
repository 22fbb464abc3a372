package survey

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Moved returns the error for a name that no longer points to what the plan expected. An empty
// digest means that the name does not exist.
func Moved(side fault.Side, n ref.Name, was, is string) error {
	n.Digest = ""
	say := func(d string) string {
		if d == "" {
			return "absent"
		}
		return d
	}
	return &fault.Fault{Kind: fault.Moved, Side: side, Op: "apply plan", Name: n.String(), Hint: "make the plan again",
		Err: fmt.Errorf("it was %s when the plan was made, now it is %s", say(was), say(is))}
}

// TargetOf returns the name under which the target of a step is looked up.
func TargetOf(s plan.Step) ref.Name {
	if s.To.Tag != "" {
		return s.To
	}
	return s.To.Repo.At(string(s.Digest()))
}

// Found holds the result of a second look: what each name points to now. lost holds the names that
// could not be looked up, with the error of each.
type Found struct {
	Inv  plan.Inventory
	lost map[ref.Name]error
}

// Again looks names up once more. It reads a listing if the registry lists digests and many names
// are wanted. Otherwise it asks for the names one by one.
func Again(ctx context.Context, s *place.Session, side fault.Side, names []ref.Name) (Found, error) {
	slices.SortFunc(names, ref.Name.Compare)
	inv, left, err := listSide(ctx, s, side, slices.Compact(names))
	f := Found{Inv: plan.Inventory{}, lost: map[ref.Name]error{}}
	if err != nil {
		return f, err
	}
	maps.Copy(f.Inv, inv)
	var mu sync.Mutex
	return f, place.Each(ctx, MaxLookups, left, func(ctx context.Context, n ref.Name) error {
		desc, err := resolveAtSide(ctx, s, side, n)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !fault.Is(err, fault.NotFound):
			f.lost[n] = err
		case err == nil && desc.Digest != "":
			f.Inv[n] = desc
		}
		return nil
	})
}

func listSide(
	ctx context.Context, s *place.Session, side fault.Side, names []ref.Name,
) (plan.Inventory, []ref.Name, error) {
	if side == fault.Source {
		return listSources(ctx, s, names)
	}
	return listTargets(ctx, s, names)
}

// resolveAtSide resolves one name. At a source it resolves n itself. At a target it resolves the tag
// of n or, if n has no tag, checks whether the target has the digest.
func resolveAtSide(ctx context.Context, s *place.Session, side fault.Side, n ref.Name) (oci.Descriptor, error) {
	if side == fault.Target {
		return Target(ctx, s, ref.Name{Repo: n.Repo, Tag: n.Tag}, oci.Digest(n.Digest))
	}
	at, err := s.Source(ctx, n.Repo)
	if err != nil {
		return oci.Descriptor{}, err
	}
	desc, err := at.Resolve(ctx, Reference(n))
	return desc, fault.On(fault.Source, err)
}

// Holds returns the digest that the source of a step has now. why is the error if the step cannot
// be applied as planned.
func (f Found) Holds(s plan.Step) (now oci.Digest, why error) {
	if s.From.Tag == "" {
		return s.Origin(), nil
	}
	n := s.From.Repo.Tagged(s.From.Tag)
	if err := f.lost[n]; err != nil {
		return "", err
	}
	if now = f.Inv[n].Digest; now != s.Origin() {
		return now, Moved(fault.Source, s.From, string(s.Origin()), string(now))
	}
	return now, nil
}

// Took returns an error if the target of a step changed since the plan was made. A name that
// already holds the planned digest is not an error.
func (f Found) Took(s plan.Step) error {
	n := TargetOf(s)
	if err := f.lost[n]; err != nil {
		return err
	}
	if now := f.Inv[n].Digest; now != s.Replaces && now != s.Digest() {
		return Moved(fault.Target, s.To, string(s.Replaces), string(now))
	}
	return nil
}
