package dray

import (
	"context"
	"errors"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/transfer"
)

// Guarded returns a Dray that shares everything with d and asks guard right before it sets
// names, once for each image and target repository. Where guard returns an error, these names
// are left as they are, and the error is that of their steps. Content by digest arrives
// unguarded: it takes nothing from anybody. guard may be called from many goroutines.
func (d *Dray) Guarded(guard func(context.Context) error) *Dray {
	g := *d
	g.guard = guard
	return &g
}

// Apart returns a Dray that shares everything with d but what earlier runs saw in other
// repositories of a registry, and mounts nothing from there. It is for those who work for
// several principals with one login: who names a digest does not get what another has.
func (d *Dray) Apart() *Dray {
	g := *d
	g.earlier = nil
	return &g
}

// guarded is a repository whose names are set once guard agreed.
type guarded struct {
	transfer.Target
	guard func(context.Context) error
	free  map[string]bool // tags that were not there when the plan was made, and may not be replaced
	once  sync.Once
	err   error
}

// guarding wraps to, if there is a guard. The wrap is of one image: it is asked once.
func (r *run) guarding(e *end, to transfer.Target) transfer.Target {
	if r.guard == nil {
		return to
	}
	g := &guarded{Target: to, guard: r.guard, free: map[string]bool{}}
	for _, i := range e.steps {
		if s := r.plan.Steps[i]; r.overwrite(s) == plan.Refuse && s.Replaces == "" && s.To.Tag != "" {
			g.free[s.To.Tag] = true
		}
	}
	return g
}

// PutDocument asks before the first names, and takes no names from who was refused. Content may
// have come for hours, as slowly as its source liked: a tag that somebody else has made meanwhile
// is theirs.
func (g *guarded) PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error) {
	if len(tags) == 0 {
		return g.Target.PutDocument(ctx, doc)
	}
	if g.once.Do(func() { g.err = g.guard(ctx) }); g.err != nil {
		return oci.Accepted{}, g.err
	}
	var free []string
	var lost oci.Accepted
	for _, tag := range tags {
		if err := g.taken(ctx, doc, tag); err != nil {
			lost = lost.And(oci.Accepted{Failed: map[string]error{tag: err}})
			continue
		}
		free = append(free, tag)
	}
	if len(free) == 0 {
		return lost, nil
	}
	accepted, err := g.Target.PutDocument(ctx, doc, free...)
	return accepted.And(lost), err
}

// taken is a Conflict where tag has to be free and holds something else than doc.
func (g *guarded) taken(ctx context.Context, doc oci.Document, tag string) error {
	if !g.free[tag] {
		return nil
	}
	there, err := g.Resolve(ctx, tag)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return err
	case there.Digest != doc.Digest:
		return &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: "put tag", Name: g.Repo().Tagged(tag).String(),
			Err: errors.New("it exists with another digest"), Hint: "somebody made it meanwhile"}
	}
	return nil
}
