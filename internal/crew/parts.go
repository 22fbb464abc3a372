package crew

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/drayage/dray/plan"
)

// maxGroup limits how many steps of a plan file are held in memory for each image in flight.
const maxGroup = 10_000

// Group is steps of a plan that belong together. If there are more of them than may be held in memory, they come in
// several parts.
type Group struct{ parts chan groupPart }

type groupPart struct {
	steps []plan.Step
	more  bool // another part follows
}

// Next returns the next part, and whether there are more. There are none if ctx has ended.
func (g *Group) Next(ctx context.Context) (steps []plan.Step, more bool) {
	select {
	case p := <-g.parts:
		return p.steps, p.more
	default:
	}
	select {
	case p := <-g.parts:
		return p.steps, p.more
	case <-ctx.Done():
		return nil, false
	}
}

// Groups reads steps and passes on those that belong together. For a transfer these are the steps
// of one target repository. For other plans it is as many steps as may be held in memory. For a
// plan with plan.All it is all of them. take must not wait for the parts of a group after the first: they are read
// when it has returned.
func Groups(ctx context.Context, in *plan.Reader, take func(*Group) error) error {
	var group []plan.Step
	var open *Group // to which the steps are another part
	all, apart := in.Header().Hold == plan.All, in.Header().Verb == "transfer"
	flush := func(more bool) error {
		if len(group) == 0 {
			return nil
		}
		p := groupPart{group, more}
		group = nil
		if at := open; at != nil {
			if !more {
				open = nil
			}
			select {
			case at.parts <- p:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		g := &Group{parts: make(chan groupPart, 1)}
		if more {
			open = g
		}
		g.parts <- p
		return take(g)
	}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s, err := in.Next()
		if errors.Is(err, io.EOF) {
			return flush(false)
		}
		if err != nil {
			return err
		}
		if n := len(group); !all && n > 0 && (n == maxGroup || apart && group[0].To.Repo != s.To.Repo) {
			if err := flush(apart && group[0].To.Repo == s.To.Repo); err != nil {
				return err
			}
		}
		group = append(group, s)
	}
}

// MaxParts is how many parts a job is divided into at most. There are many more than workers, so that all workers end
// at about the same time, and few enough that their sum is small.
const MaxParts = 1000

// Parts joins groups to at most MaxParts parts, in their order.
func Parts[T any](groups [][]T) [][]T {
	n := min(len(groups), MaxParts)
	parts := make([][]T, n)
	for i := range parts {
		parts[i] = slices.Concat(groups[i*len(groups)/n : (i+1)*len(groups)/n]...)
	}
	return parts
}

// Sharing groups items so that no two groups have a key in common, in the order of their first items.
func Sharing[S any, K comparable](items []S, keys func(S) []K) [][]S {
	at := map[K]int{} // the group of each key
	var groups [][]S
	for _, s := range items {
		into := -1
		for _, k := range keys(s) {
			i, known := at[k]
			switch {
			case !known || i == into:
			case into < 0:
				into = i
			default: // s joins two groups
				for _, moved := range groups[i] {
					for _, k := range keys(moved) {
						at[k] = into
					}
				}
				groups[into], groups[i] = append(groups[into], groups[i]...), nil
			}
		}
		if into < 0 {
			into = len(groups)
			groups = append(groups, nil)
		}
		groups[into] = append(groups[into], s)
		for _, k := range keys(s) {
			at[k] = into
		}
	}
	return slices.DeleteFunc(groups, func(g []S) bool { return g == nil })
}

// By groups items by a key, such as the target repository of steps, in the order in which the keys first appear.
func By[S any, K comparable](items []S, key func(S) K) [][]S {
	at := map[K]int{}
	var parts [][]S
	for _, s := range items {
		i, seen := at[key(s)]
		if !seen {
			i = len(parts)
			at[key(s)] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], s)
	}
	return parts
}
