package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey/landing"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// maxCollisions limits how many collisions an error names.
const maxCollisions = 10

// checkCollisions refuses rules that give one target name to two source names with different
// content. It runs before anything moves. If no rule can have this effect, it sends no request.
// Different content under the same name in several registries is not an error of a rule: it is a
// conflict of that name alone.
func (r *transferring) checkCollisions(ctx context.Context, landings []plan.Landing) error {
	var suspects []plan.Landing
	for _, part := range together(landings) {
		if r.mayCollide(part[0]) {
			suspects = append(suspects, part[0])
		}
	}
	var mu sync.Mutex
	var found []string
	err := place.Each(ctx, r.Base.Files.AtOnce(maxPlanning), suspects, func(ctx context.Context, l plan.Landing) error {
		some := r.collisionsOf(ctx, l)
		mu.Lock()
		defer mu.Unlock()
		found = append(found, some...)
		return context.Cause(ctx)
	})
	if err != nil {
		return canceled(ctx, "plan transfer")
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	if len(found) > maxCollisions {
		found = append(found[:maxCollisions], fmt.Sprintf("and %d more", len(found)-maxCollisions))
	}
	return &fault.Fault{
		Kind: fault.Invalid,
		Op:   "map names",
		Hint: "change the mapping, or leave one of the sources out; nothing was copied",
		Err:  errors.New(strings.Join(found, "; ")),
	}
}

// mayCollide reports whether a rule may give one target name to two names of one registry.
func (r *transferring) mayCollide(l plan.Landing) bool {
	if len(r.req.Map.Pairs) > 0 || len(r.req.Map.Rename) > 0 {
		return true
	}
	hosts := map[string]bool{}
	for _, from := range l.From {
		if hosts[from.Host] && r.Rank(from) == r.Rank(l.From[0]) {
			return true
		}
		hosts[from.Host] = true
	}
	return false
}

// collisionsOf finds the collisions of a landing. A source that cannot be read is ignored: planning
// will report its error.
func (r *transferring) collisionsOf(ctx context.Context, l plan.Landing) (found []string) {
	s := r.begin()
	defer s.Release()
	for _, from := range l.From {
		s.Aim(from, l.To)
	}
	k := landing.NewLanding(r.Scope, l, &landing.Surveyed{Session: s})
	wants, err := k.Wants(ctx)
	if err != nil {
		return nil
	}
	for twins := range wants.Contested {
		if ctx.Err() != nil {
			return nil
		}
		var from []ref.Name
		for _, p := range twins.From {
			from = append(from, wants.Name(p))
		}
		if a, b, differ := differing(ctx, k, from, wants.Inventory(twins.From)); differ {
			found = append(found, fmt.Sprintf("%s and %s both become %s", a, b, l.To.Tagged(twins.To)))
		}
	}
	return found
}

// differing finds two names of one registry and of one rank that point to different content.
func differing(
	ctx context.Context, k *landing.Landing, names []ref.Name, src plan.Inventory,
) (a, b ref.Name, differ bool) {
	digest := func(n ref.Name) oci.Digest {
		if d := src[n].Digest; d != "" {
			return d
		}
		at, err := k.Into.Session.Source(ctx, n.Repo)
		if err != nil {
			return ""
		}
		desc, err := at.Resolve(ctx, n.Reference())
		if err == nil {
			src[n] = desc
		}
		return desc.Digest
	}
	best := slices.MinFunc(names, func(a, b ref.Name) int { return k.Rank(a.Repo) - k.Rank(b.Repo) })
	hosts := map[string][]ref.Name{}
	for _, n := range names {
		if k.Rank(n.Repo) == k.Rank(best.Repo) {
			hosts[n.Host] = append(hosts[n.Host], n)
		}
	}
	for _, n := range names {
		first := hosts[n.Host]
		if len(first) < 2 || k.Rank(n.Repo) != k.Rank(best.Repo) || ctx.Err() != nil {
			continue
		}
		switch x, y := digest(first[0]), digest(n); {
		case x == "":
			hosts[n.Host] = first[1:] // it cannot be read
		case y != "" && x != y:
			return first[0], n, true
		}
	}
	return a, b, false
}
