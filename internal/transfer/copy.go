package transfer

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

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
