package transfer

import (
	"context"
	"errors"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"

	"golang.org/x/time/rate"
)

// Options bound an Engine. Zero values take the defaults named here.
type Options struct {
	Blobs    int // blobs in flight at once over all copies; default 32. Beside them go half as many small ones, and a quarter as many of ends that are slower than others
	Requests int // documents in flight at once, reading and writing each; default 16
	Retries  int // tries of one download without a byte of progress in between; default 8

	// Ahead is the memory in bytes, over all copies, for what is read of a blob before
	// it can be handed on: over several connections at once. Default 64 MiB; with less
	// than 3 MiB every blob is read over one.
	Ahead int64

	// Bandwidth caps the bytes/s of blobs that all copies together hand to their
	// targets; 0 is no cap. What is read does not run ahead of that by more than Ahead.
	Bandwidth int64
}

// Engine copies images. One Engine serves a whole process, so that its limits hold
// across concurrent copies. Its methods are safe for concurrent use.
type Engine struct {
	places   places
	requests chan struct{}
	retries  int
	room     room
	paths    paths
	flights  flights
	limit    *rate.Limiter // nil is none
}

// New returns an Engine bounded by o.
func New(o Options) *Engine {
	if o.Blobs == 0 {
		o.Blobs = 32
	}
	if o.Requests == 0 {
		o.Requests = 16
	}
	if o.Retries == 0 {
		o.Retries = 8
	}
	if o.Ahead == 0 {
		o.Ahead = 64 << 20
	}
	e := &Engine{places: newPlaces(o.Blobs), requests: make(chan struct{}, o.Requests), retries: o.Retries, room: room{size: o.Ahead}}
	if o.Bandwidth > 0 {
		e.limit = rate.NewLimiter(rate.Limit(o.Bandwidth), burstOf(o.Bandwidth))
	}
	return e
}

// blobs is the gate for work on one blob.
func (e *Engine) blobs(ctx context.Context, b oci.Descriptor) (leave func(), ok bool) {
	return e.places.enter(ctx, b.Size)
}

// Copy brings t.Root and everything under it to every End, then sets its tags.
// There is one Outcome for each End, in their order; an End that fails does not
// stop the others, and leaves its tags as they were.
//
// Documents and blobs are read once for all Ends. Ends at one registry go one after
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
	hosts := byHost(t.To)
	var first *joint
	if len(hosts) > 1 {
		first = e.newJoint(len(hosts))
	}
	all(hosts, func(ends []int) {
		var holders []ref.Repo
		for k, i := range ends {
			beside := first
			if k > 0 {
				beside = nil // it mounts what the first received
			}
			out[i] = e.bring(ctx, t, t.To[i], tree, holders, beside)
			if out[i].Err == nil {
				holders = append(holders, t.To[i].Target.Repo())
			}
		}
	})
	first.wait()
	return out
}

// bring is the walk for one End. beside is what moves its blobs together with those of other Ends; nil is nobody.
func (e *Engine) bring(ctx context.Context, t Task, end End, tree *tree, holders []ref.Repo, beside *joint) (out Outcome) {
	m := &mover{engine: e, task: t, target: end.Target, turn: end.Turn, back: end.Back, likely: likely(t.From.Repo(), end.Target.Repo(), holders)}
	out.Err = func() error {
		defer beside.leave(m)
		if t.From.Repo() == end.Target.Repo() {
			return nil // what a repository serves it holds; only names change
		}
		lack, err := e.missing(ctx, m, tree.blobs)
		if err != nil {
			return err
		}
		if err := beside.move(ctx, m, lack); err != nil || t.Proof == oci.Claimed {
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
