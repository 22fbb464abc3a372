package transfer

import (
	"context"
	"errors"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// Options bound an Engine. Zero values take the defaults named here.
type Options struct {
	Blobs    int // blobs in flight at once over all copies; default 16
	Requests int // documents in flight at once, reading and writing each; default 16
	Retries  int // tries of one download without a byte of progress in between; default 8
}

// Engine copies images. One Engine serves a whole process, so that its limits hold
// across concurrent copies. Its methods are safe for concurrent use.
type Engine struct {
	blobs    chan struct{}
	requests chan struct{}
	retries  int
}

// New returns an Engine bounded by o.
func New(o Options) *Engine {
	if o.Blobs == 0 {
		o.Blobs = 16
	}
	if o.Requests == 0 {
		o.Requests = 16
	}
	if o.Retries == 0 {
		o.Retries = 8
	}
	return &Engine{blobs: make(chan struct{}, o.Blobs), requests: make(chan struct{}, o.Requests), retries: o.Retries}
}

// Copy brings t.Root and everything under it to every End, then sets its tags.
// There is one Outcome for each End, in their order; an End that fails does not
// stop the others, and leaves its tags as they were.
//
// The documents are read once for all Ends. Ends at one registry go one after
// another, so that the second can mount what the first received; registries go
// side by side.
func (e *Engine) Copy(ctx context.Context, t Task) []Outcome {
	out := make([]Outcome, len(t.To))
	tree, err := e.discover(ctx, t)
	if err != nil {
		for i := range out {
			out[i].Err = settle(ctx, fault.On(fault.Source, err))
		}
		return out
	}
	t.tellForeign(tree)
	all(byHost(t.To), func(ends []int) {
		var holders []ref.Repo
		for _, i := range ends {
			out[i] = e.bring(ctx, t, t.To[i], tree, holders)
			if out[i].Err == nil {
				holders = append(holders, t.To[i].Target.Repo())
			}
		}
	})
	return out
}

// bring is the walk for one End.
func (e *Engine) bring(ctx context.Context, t Task, end End, tree *tree, holders []ref.Repo) (out Outcome) {
	m := &mover{engine: e, task: t, target: end.Target, back: end.Back, likely: likely(t.From.Repo(), end.Target.Repo(), holders)}
	out.Err = func() error {
		if t.From.Repo() == end.Target.Repo() {
			return nil // what a repository serves it holds; only names change
		}
		lack, err := e.missing(ctx, m, tree.blobs)
		if err != nil {
			return err
		}
		if err := m.move(ctx, lack); err != nil || t.Proof == Claimed {
			return err
		}
		return e.settled(ctx, m, tree.blobs, lack)
	}()
	if out.Err == nil {
		out.Accepted, out.Err = e.commit(ctx, m, end, tree)
	}
	out.Blobs = m.count()
	out.Err = settle(ctx, fault.On(fault.Target, out.Err))
	return out
}

// likely lists the repositories of to's registry that should hold the image already.
func likely(from, to ref.Repo, holders []ref.Repo) []ref.Repo {
	var at []ref.Repo
	if from.Host == to.Host && from != to {
		at = append(at, from)
	}
	return append(at, holders...)
}

// byHost groups the indexes of ends by registry, in the order in which registries come up.
func byHost(ends []End) [][]int {
	at := map[string]int{}
	var groups [][]int
	for i, end := range ends {
		host := end.Target.Repo().Host
		g, seen := at[host]
		if !seen {
			g = len(groups)
			at[host] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// settle turns the many ways in which an ended context shows into one.
func settle(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if fault.Is(err, fault.Canceled) {
		return err
	}
	return &fault.Fault{Kind: fault.Canceled, Op: "copy", Err: context.Canceled}
}

func (t Task) tell(e event.Event) {
	e.Step = t.Step
	t.Observe.Tell(e)
}
