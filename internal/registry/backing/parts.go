package backing

import (
	"context"
	"time"
)

// Pending is an object that was begun and not finished. An object store keeps the parts of such objects, and costs
// money for them, but lists and reads them nowhere else.
type Pending struct {
	Path  string // of the object, as the methods of a Driver take it
	Begun time.Time

	abort func(context.Context) error
}

// Abort removes the parts. It is no error if they are gone, and an object that was finished in the meantime stays.
func (p Pending) Abort(ctx context.Context) error { return p.abort(ctx) }
