package storm

import (
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
)

// Work is what is done while something goes wrong.
type Work string

// Image and Index copy one name. Transfer and Job copy all repositories below a prefix: Transfer with
// package dray, Job with the engine of a server.
const (
	Image    Work = "one image"
	Index    Work = "an index"
	Transfer Work = "a transfer"
	Job      Work = "a job"
)

// Size is that of each layer. Half is its middle.
const (
	Size = 64 << 10
	Half = Size / 2
)

// Place is where the faults of a work happen.
type Place struct {
	Layer string // the digest of a layer that the target does not have
	Root  string // the digest of an image or index that is copied
	Type  string // its media type
}

// Case is one thing that goes wrong, and what must come of it.
type Case struct {
	Name string // what happens and how often, for a reader

	// Side is the registry that misbehaves, in the way of Faults. The first is the outermost.
	Side   fault.Side
	Faults []*hostile.Fault

	// Kind is that of the error with which the work ends; "" if it ends well. Blamed is the side that the error
	// names.
	Kind   fault.Kind
	Blamed fault.Side

	// Perhaps is the Kind of an error of the same side with which a work of several images may end instead, depending on
	// which of them sends first what they share; "" if it may not.
	Perhaps fault.Kind

	Never   []Work // the works that do not meet it, because they never ask
	Product string // what the target is, in its settings; "" leaves it to dray to find out
	Pieces  int64  // the size in which the target takes uploads, in its settings; 0 means whole
	Unequal string // why the bytes of the report cannot be those that the registries counted; "" if they must be
	// Repeated says that net/http sends a request again by itself, which the report does not count: one that was
	// sent on a connection that had been used before, and got not a byte.
	Repeated bool
	Pair     bool // one of those that are also tried in pairs
}

// Fired reports whether it happened.
func (c Case) Fired() bool {
	return slices.ContainsFunc(c.Faults, func(f *hostile.Fault) bool { return f.Fired() > 0 })
}

// Meets reports whether w meets it.
func (c Case) Meets(w Work) bool { return !slices.Contains(c.Never, w) }

// Wants returns the Kind and the side of the error with which w must end; "" if it must end well.
func (c Case) Wants(w Work) (fault.Kind, fault.Side) {
	if !c.Meets(w) {
		return "", ""
	}
	return c.Kind, c.Blamed
}

const source, target = fault.Source, fault.Target

// recovers is a row after which the whole image arrives.
func recovers(side fault.Side, name string, faults ...*hostile.Fault) Case {
	return Case{Name: string(side) + ": " + name, Side: side, Faults: faults}
}

// fails is a row after which the work ends with an error that blames side.
func fails(side fault.Side, kind fault.Kind, name string, faults ...*hostile.Fault) Case {
	return Case{Name: string(side) + ": " + name, Side: side, Faults: faults, Kind: kind, Blamed: side}
}

func (c Case) never(works ...Work) Case {
	c.Never = works
	return c
}

// listed says that only works that list repositories meet it.
func (c Case) listed() Case { return c.never(Image, Index) }

// asked says that the target is a product that dray asks for each blob.
func (c Case) asked() Case {
	c.Product = "quay"
	return c
}

// pieces says that the target takes uploads in pieces.
func (c Case) pieces() Case {
	c.Pieces = Size / 4
	return c
}

func (c Case) perhaps(kind fault.Kind) Case {
	c.Perhaps = kind
	return c
}

func (c Case) unequal(why string) Case {
	c.Unequal = why
	return c
}

func (c Case) repeated() Case {
	c.Repeated = true
	return c
}

func (c Case) pair() Case {
	c.Pair = true
	return c
}
