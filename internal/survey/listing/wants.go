package listing

import (
	"cmp"
	"slices"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Side is a source, and the tags of it that are copied.
type Side struct {
	Repo ref.Repo
	List *List
	Kept []int32 // in the order of names
}

// Place is one tag of the sides.
type Place struct{ Side, At int32 }

func (p Place) compare(o Place) int {
	return cmp.Or(cmp.Compare(p.Side, o.Side), cmp.Compare(p.At, o.At))
}

// want is a tag of a target, and the tag of a source that it gets.
type want struct {
	to   string
	from Place
}

// Wants are the tags that a target gets from all of its sources.
type Wants struct {
	Sides []Side // in the order of their names

	all  []want  // in the order of the names of the sources
	byTo []int32 // the places in all, in the order of the names of the target
	bad  []Place // tags whose target is not a tag

	winner  []int32 // those in all that become steps, in the order of names
	grouped []int32 // the same, image by image
	twins   []Twins // tags of the target of which two sources differ
	failed  []Place // tags that could not be looked up
}

// Twins are sources with different content for one tag of the target.
type Twins struct {
	To   string
	From []Place // in the order of names
}

// Choose finds out which tags the target gets. targets returns those of one tag of a source, or an error. stop ends
// it before its time.
func Choose(sides []Side, targets func(from ref.Name) ([]ref.Name, error), stop func() error) (*Wants, error) {
	w := &Wants{Sides: sides}
	slices.SortFunc(w.Sides, func(a, b Side) int { return a.Repo.Tagged("").Compare(b.Repo.Tagged("")) })
	for s, side := range w.Sides {
		w.all = slices.Grow(w.all, len(side.Kept))
		for _, at := range side.Kept {
			if err := stop(); err != nil {
				return nil, err
			}
			from := Place{int32(s), at}
			to, err := targets(side.Repo.Tagged(side.List.Tag(int(at))))
			if err != nil {
				w.bad = append(w.bad, from)
				continue
			}
			slices.SortFunc(to, ref.Name.Compare)
			for _, n := range to {
				w.all = append(w.all, want{n.Tag, from})
			}
		}
	}
	w.byTo = numbers(len(w.all))
	slices.SortFunc(w.byTo, func(a, b int32) int {
		return cmp.Or(cmp.Compare(w.all[a].to, w.all[b].to), cmp.Compare(a, b))
	})
	return w, nil
}

func numbers(n int) []int32 {
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(i)
	}
	return all
}

// Has reports whether the target gets a tag.
func (w *Wants) Has(to string) bool { _, has := w.find(to); return has }

func (w *Wants) find(to string) (int, bool) {
	return slices.BinarySearchFunc(w.byTo, to, func(i int32, to string) int { return cmp.Compare(w.all[i].to, to) })
}

// of returns the places in all of those that want one tag of the target.
func (w *Wants) of(to string) []int32 {
	begin, _ := w.find(to)
	end := begin
	for end < len(w.byTo) && w.all[w.byTo[end]].to == to {
		end++
	}
	return w.byTo[begin:end]
}

// Tags calls yield with each tag that the target gets, in the order of names.
func (w *Wants) Tags(yield func(to string) bool) {
	for k, i := range w.byTo {
		if k > 0 && w.all[w.byTo[k-1]].to == w.all[i].to {
			continue
		}
		if !yield(w.all[i].to) {
			return
		}
	}
}

// Contested calls yield with each tag of the target that several sources have.
func (w *Wants) Contested(yield func(Twins) bool) {
	for k := 1; k < len(w.byTo); k++ {
		to := w.all[w.byTo[k]].to
		if w.all[w.byTo[k-1]].to != to || k > 1 && w.all[w.byTo[k-2]].to == to {
			continue
		}
		t := Twins{To: to}
		for _, i := range w.of(to) {
			t.From = append(t.From, w.all[i].from)
		}
		if !yield(t) {
			return
		}
	}
}

// Name returns the name of a tag of a source.
func (w *Wants) Name(p Place) ref.Name {
	return w.Sides[p.Side].Repo.Tagged(w.Sides[p.Side].List.Tag(int(p.At)))
}

// Descriptor returns what a tag of a source points to.
func (w *Wants) Descriptor(p Place) oci.Descriptor { return w.Sides[p.Side].List.Descriptor(int(p.At)) }

// Inventory returns the sources at some places.
func (w *Wants) Inventory(places []Place) plan.Inventory {
	inv := make(plan.Inventory, len(places))
	for _, p := range places {
		inv[w.Name(p)] = w.Descriptor(p)
	}
	return inv
}

// Settle decides which sources the tags get, when it is known what the sources point to. failed has those that are not
// there, and whether a step tells that. choose returns the one of several that a tag gets, or an error if they differ.
func (w *Wants) Settle(failed map[Place]bool, choose func(to string, from []Place) (Place, error)) {
	for p, tells := range failed {
		if tells {
			w.failed = append(w.failed, p)
		}
	}
	slices.SortFunc(w.failed, Place.compare)
	out := func(p Place) bool { _, is := failed[p]; return is }
	w.bad = slices.DeleteFunc(w.bad, out)
	beaten := map[int32]bool{}
	w.Contested(func(t Twins) bool {
		t.From = slices.DeleteFunc(t.From, out)
		if len(t.From) < 2 {
			return true
		}
		best, err := choose(t.To, t.From)
		if err != nil {
			w.twins = append(w.twins, t)
		}
		for _, i := range w.of(t.To) {
			beaten[i] = err != nil || w.all[i].from != best
		}
		return true
	})
	w.winner = slices.DeleteFunc(numbers(len(w.all)), func(i int32) bool { return beaten[i] || out(w.all[i].from) })
}
