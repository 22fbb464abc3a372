package bundle

import (
	"errors"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
)

// Host is the name of a bundle where a name has a registry. It is never looked up.
const Host = "the.bundle"

// with returns a copy of b in which Host is the registry at.
func with(b *place.Base, at place.Local) *place.Base {
	c := *b
	c.Here = func(host string) (place.Local, bool) {
		if host == Host {
			return at, true
		}
		return b.Registry(host)
	}
	return &c
}

// into is with for a bundle that is written. Nothing that is learned about it is remembered, because the next
// bundle has the same name.
func into(b *place.Base, at place.Local) *place.Base {
	c := with(b, at)
	c.Proofs, c.Marks, c.Earlier = nil, nil, nil
	return c
}

func notFound(op, name string) error {
	return &fault.Fault{Kind: fault.NotFound, Op: op, Name: name, Err: errors.New("the bundle does not have it")}
}

// listed calls visit with each tag.
func listed(tags []oci.Listed, visit func(oci.Listed) error) error {
	for _, t := range tags {
		if err := visit(t); err != nil {
			return err
		}
	}
	return nil
}
