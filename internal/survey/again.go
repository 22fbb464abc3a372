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

// Moved says that a name of a plan points elsewhere by now. An empty digest is nothing there.
func Moved(side fault.Side, n ref.Name, was, is string) error {
	n.Digest = ""
	say := func(d string) string {
		if d == "" {
			return "absent"
		}
		return d
	}
	return &fault.Fault{Kind: fault.Moved, Side: side, Op: "apply plan", Name: n.String(), Hint: "make the plan anew",
		Err: fmt.Errorf("it was %s when the plan was made, it is %s", say(was), say(is))}
}

// TargetOf is the name that a step's target is looked up by.
func TargetOf(s plan.Step) ref.Name {
	if s.To.Tag != "" {
		return s.To
	}
	return s.To.Repo.At(string(s.Digest()))
}

// Found is what names hold now; lost are those that could not be asked for.
type Found struct {
	Inv  plan.Inventory
	lost map[ref.Name]error
}

// Again asks for names: by a listing where that tells digests of many, else one by one.
func Again(ctx context.Context, s *place.Session, side fault.Side, names []ref.Name) (Found, error) {
	slices.SortFunc(names, ref.Name.Compare)
	inv, left, err := listSide(ctx, s, side, slices.Compact(names))
	f := Found{Inv: plan.Inventory{}, lost: map[ref.Name]error{}}
	if err != nil {
		return f, err
	}
	maps.Copy(f.Inv, inv)
	var mu sync.Mutex
	return f, place.Each(ctx, asking, left, func(ctx context.Context, n ref.Name) error {
		desc, err := lookAtSide(ctx, s, side, n)
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

func listSide(ctx context.Context, s *place.Session, side fault.Side, names []ref.Name) (plan.Inventory, []ref.Name, error) {
	if side == fault.Source {
		return listSources(ctx, s, names)
	}
	return listTargets(ctx, s, names)
}

// lookAtSide asks what a source holds, what a target holds under a tag, or whether it holds a digest.
func lookAtSide(ctx context.Context, s *place.Session, side fault.Side, n ref.Name) (oci.Descriptor, error) {
	if side == fault.Target {
		return Target(ctx, s, ref.Name{Repo: n.Repo, Tag: n.Tag}, oci.Digest(n.Digest))
	}
	at, err := s.Source(n.Repo)
	if err != nil {
		return oci.Descriptor{}, err
	}
	desc, err := at.Resolve(ctx, Reference(n))
	return desc, fault.On(fault.Source, err)
}

// Holds says what the source of a step is now, and why the step is not to be done as it was planned.
func (f Found) Holds(s plan.Step) (now oci.Digest, why error) {
	if s.From.Tag == "" {
		return s.Digest(), nil
	}
	n := s.From.Repo.Tagged(s.From.Tag)
	if err := f.lost[n]; err != nil {
		return "", err
	}
	if now = f.Inv[n].Digest; now != s.Digest() {
		return now, Moved(fault.Source, s.From, string(s.Digest()), string(now))
	}
	return now, nil
}

// Took says why the target of a step is not what it was: a name that holds the planned
// digest by now is as good.
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
