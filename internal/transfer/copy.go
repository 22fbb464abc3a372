package transfer

import (
	"context"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Copy copies t.Root and everything under it to every End, then sets the End's tags. It returns
// one Outcome for each End, in the order of t.To. If an End fails, the others go on, and the tags
// of the failed End stay as they were.
//
// Copy reads each document and each blob once for all Ends. It serves Ends at the same registry
// one after another, so that the second can mount the blobs that the first received. It serves
// different registries concurrently.
func (e *Engine) Copy(ctx context.Context, t Task) []Outcome {
	out := make([]Outcome, len(t.To))
	room := e.documents.Open()
	defer room.Close()
	tree, err := e.discover(ctx, t, room)
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
			together := first
			if k > 0 {
				together = nil // this End mounts the blobs that the first End of its registry received
			}
			out[i] = e.copyTo(ctx, t, t.To[i], tree, holders, together)
			if out[i].Err == nil {
				holders = append(holders, t.To[i].Target.Repo())
			}
		}
	})
	first.wait()
	return out
}

// copyTo runs the steps missing, move and commit for one End. If together is not nil, the
// blobs of this End move together with those of other Ends.
func (e *Engine) copyTo(
	ctx context.Context, t Task, end End, tree *tree, holders []ref.Repo, together *joint,
) (out Outcome) {
	m := &mover{
		engine: e,
		task:   t,
		target: end.Target,
		turn:   end.Turn,
		back:   end.Back,
		likely: likely(t.From.Repo(), end.Target.Repo(), holders),
	}
	out.Err = func() error {
		defer together.leave(m)
		if err := end.Target.Keeps(tree.documents(), tree.blobs); err != nil {
			return err
		}
		if t.From.Repo().Same(end.Target.Repo()) {
			return nil // the repository already holds all content of an image that it serves; only its tags change
		}
		lack, err := e.missing(ctx, m, tree.blobs)
		if err != nil {
			return err
		}
		left := lack
		if end.Bring != nil && len(lack) > 0 {
			together.leave(m)
			together = nil
			if left, err = e.bring(ctx, m, end, tree, lack); err != nil {
				return err
			}
		}
		if err := together.move(ctx, m, left); err != nil || t.Proof == oci.Claimed {
			return err
		}
		return e.proveAfter(ctx, m, tree.blobs, lack)
	}()
	if out.Err == nil {
		out.Accepted, out.Err = e.commit(ctx, m, end, tree)
	}
	out.Blobs = m.count()
	out.Err = settle(ctx, fault.On(fault.Target, out.Err))
	return out
}

// bring lets others bring what the target of m lacks, and returns what it lacks after that.
func (e *Engine) bring(
	ctx context.Context, m *mover, end End, tree *tree, lack []oci.Descriptor,
) ([]oci.Descriptor, error) {
	left, err := end.Bring(ctx, Cargo{Documents: tree.documents(), Blobs: tree.blobs, Lack: lack})
	if err != nil {
		return nil, err
	}
	for _, b := range without(lack, left) {
		m.arrived(b, oci.Arrival{Way: oci.Brought})
	}
	return left, nil
}

// likely lists the repositories of the registry of to that probably hold the image already.
func likely(from, to ref.Repo, holders []ref.Repo) []ref.Repo {
	var at []ref.Repo
	if from.Host == to.Host && from != to {
		at = append(at, from)
	}
	return append(at, holders...)
}

// byHost groups the indexes of ends by registry. The registries are in the order of their first
// End.
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
