package plan

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Merge holds the rules of [Landing.Merge].
type Merge struct {
	Verb      string // the operation that a conflict names: "transfer"
	Overwrite Overwrite
	Tags      TagMap // renames tags
	Trims     Trims  // which images are not copied whole

	// Rank orders sources that have different content for one target name: the lowest rank wins, and
	// two sources of the same rank are a conflict. nil gives all sources the same rank.
	Rank func(ref.Repo) int
}

// Merge plans the landing like [Landing.Make], but name by name. If sources have different content for
// one name, or if m.Tags makes a text that is not a tag, only that name becomes a [Broken] step. Broken
// steps come last. Equal inputs give equal steps. The error is [fault.Canceled] if ctx has ended.
func (l Landing) Merge(ctx context.Context, src, dst Inventory, m Merge) ([]Step, error) {
	var broken []Step
	wants := map[ref.Name][]ref.Name{} // the sources of each target, in the order of their names
	for _, from := range slices.SortedFunc(maps.Keys(src), ref.Name.Compare) {
		if err := canceled(ctx, m.Verb); err != nil {
			return nil, err
		}
		to, err := l.Targets(from, m.Tags)
		if err != nil {
			broken = append(broken, Step{Action: Broken, From: from, To: l.To.Tagged(""), Problem: ProblemOf(err)})
			continue
		}
		for _, n := range to {
			if n.Tag == "" {
				n.Digest = string(src[from].Digest) // many digests can be copied to one repository
			}
			wants[n] = append(wants[n], from)
		}
	}
	targets := map[ref.Name][]ref.Name{}
	for _, to := range slices.SortedFunc(maps.Keys(wants), ref.Name.Compare) {
		if err := canceled(ctx, m.Verb); err != nil {
			return nil, err
		}
		from, err := m.Choose(to, wants[to], src)
		if err != nil {
			broken = append(broken, Step{Action: Broken, From: from, To: to, Problem: ProblemOf(err)})
			continue
		}
		if to.Tag == "" {
			to.Digest = ""
		}
		targets[from] = append(targets[from], to)
	}
	of := func(from ref.Name) []ref.Name { return targets[from] }
	steps, err := Make(ctx, src, dst, Rules{Overwrite: m.Overwrite, Trims: m.Trims, Targets: of})
	return append(steps, broken...), err
}

// Choose returns which of several sources, given in the order of their names, the target name to gets. The error is
// [fault.Conflict]: two sources of the best rank differ.
func (m Merge) Choose(to ref.Name, from []ref.Name, src Inventory) (ref.Name, error) {
	rank := func(n ref.Name) int {
		if m.Rank == nil {
			return 0
		}
		return m.Rank(n.Repo)
	}
	best := slices.MinFunc(from, func(a, b ref.Name) int { return cmp.Compare(rank(a), rank(b)) })
	for _, n := range from {
		if rank(n) == rank(best) && src[n].Digest != src[best].Digest {
			return best, &fault.Fault{Kind: fault.Conflict, Side: fault.Source, Op: m.Verb, Name: to.String(),
				Err:  fmt.Errorf("two sources differ: %s is %s, %s is %s", best, src[best].Digest, n, src[n].Digest),
				Hint: "say which source takes precedence, or give each source its own target name"}
		}
	}
	return best, nil
}

// Retags reports whether the step moves a name from one digest to another.
func (s Step) Retags() bool { return s.Moves() && s.Replaces != "" && s.Replaces != s.Digest() }

// Anew plans s again for the digests that both ends have now; "" means that the target name does not exist. If
// the source has changed, the new step has neither size nor media type.
func (s Step) Anew(from, to oci.Digest, overwrite Overwrite, trims Trims) Step {
	root := oci.Descriptor{Digest: from}
	if from == s.Origin() {
		root.MediaType, root.Size = s.MediaType, s.Size
	}
	n := s.From
	n.Digest = ""
	again := decide(n, s.To, root, trims[from], to, overwrite)
	again.Locks, again.Overwrite, again.Own = s.Locks, s.Overwrite, s.Own
	return again
}
