package listing

import (
	"cmp"
	"slices"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Order says in which order the steps of a landing are made.
type Order int

// The Orders.
const (
	// ByName is the order of names: that of a plan.
	ByName Order = iota

	// ByImage is the order in which they are carried out, if they are too many for one range. All names of an image are
	// in one range. What is tagged for the digest of another image comes first, and what moves from release to
	// release last.
	ByImage
)

// Cut is a range of the steps of a landing. Its parts are empty, or each comes after those before it.
type Cut struct {
	Steps  []Step  // tags of the target that get a source
	Bad    []Place // sources whose target is not a tag
	Twins  []Twins // tags of the target of which two sources differ
	Failed []Place // sources that could not be looked up
}

// Step is one tag of a target and its source.
type Step struct {
	To   string
	From Place
}

// Count returns how many ranges there are, each of size steps or a few more.
func (w *Wants) Count(size int, order Order) int { return max(1, len(w.ends(size, order))) }

// Cut returns a range.
func (w *Wants) Cut(size int, order Order, n int) Cut {
	ends := w.ends(size, order)
	if len(ends) == 0 {
		return Cut{}
	}
	from, to := 0, ends[n]
	if n > 0 {
		from = ends[n-1]
	}
	var c Cut
	for _, i := range part(&from, &to, w.steps(size, order)) {
		c.Steps = append(c.Steps, Step{w.all[i].to, w.all[i].from})
	}
	c.Bad = part(&from, &to, w.bad)
	c.Twins = part(&from, &to, w.twins)
	c.Failed = part(&from, &to, w.failed)
	return c
}

// part returns what of all is between from and to, and makes from and to count from its end.
func part[T any](from, to *int, all []T) []T {
	n := len(all)
	some := all[min(max(*from, 0), n):min(max(*to, 0), n)]
	*from, *to = *from-n, *to-n
	return some
}

// ends returns where each range ends.
func (w *Wants) ends(size int, order Order) (ends []int) {
	steps := w.steps(size, order)
	all := len(steps) + len(w.bad) + len(w.twins) + len(w.failed)
	for end := size; end < all; end += size {
		for order == ByImage && end < len(steps) && w.sameImage(steps[end-1], steps[end]) {
			end++
		}
		if end < all {
			ends = append(ends, end)
		}
	}
	if all > 0 {
		ends = append(ends, all)
	}
	return ends
}

// steps returns the wants that become steps, in an order. If they are all in one range, it is that of names.
func (w *Wants) steps(size int, order Order) []int32 {
	if order == ByName || len(w.winner) <= size {
		return w.winner
	}
	if w.grouped == nil {
		w.grouped = w.byImage()
	}
	return w.grouped
}

func (w *Wants) sameImage(a, b int32) bool { return w.compareImages(a, b) == 0 }

// compareImages compares the sources of two wants, and what they point to.
func (w *Wants) compareImages(a, b int32) int {
	x, y := w.all[a].from, w.all[b].from
	if x.Side != y.Side {
		return cmp.Compare(x.Side, y.Side)
	}
	return w.Sides[x.Side].List.Compare(int(x.At), int(y.At))
}

// byImage orders the wants by image, and the images by when they are copied and by their first names.
func (w *Wants) byImage() []int32 {
	all := slices.Clone(w.winner)
	slices.SortFunc(all, func(a, b int32) int { return cmp.Or(w.compareImages(a, b), cmp.Compare(a, b)) })
	type image struct {
		round      int8
		begin, end int32 // in all
	}
	var images []image
	for begin := 0; begin < len(all); {
		one := image{round: 1, begin: int32(begin)}
		end := begin
		for ; end < len(all) && w.sameImage(all[begin], all[end]); end++ {
			tag := w.all[all[end]].to
			if belongs, _ := oci.TaggedFor(tag); belongs != "" {
				one.round = 0
			} else if plan.Moving(tag) && one.round == 1 {
				one.round = 2
			}
		}
		one.end = int32(end)
		images, begin = append(images, one), end
	}
	slices.SortFunc(images, func(a, b image) int {
		return cmp.Or(cmp.Compare(a.round, b.round), cmp.Compare(all[a.begin], all[b.begin]))
	})
	ordered := make([]int32, 0, len(all))
	for _, one := range images {
		ordered = append(ordered, all[one.begin:one.end]...)
	}
	return ordered
}

// Sets reports whether a step copies a tag of a source under the same name.
func (w *Wants) Sets(from ref.Repo, tag string) bool {
	for _, i := range w.of(tag) {
		if p := w.all[i].from; w.Sides[p.Side].Repo == from && w.Sides[p.Side].List.Tag(int(p.At)) == tag {
			return true
		}
	}
	return false
}

// Source returns which source a tag of the target gets.
func (w *Wants) Source(to string) (from Place, has bool) {
	for _, i := range w.of(to) {
		if _, wins := slices.BinarySearch(w.winner, i); wins {
			return w.all[i].from, true
		}
	}
	return Place{}, false
}
