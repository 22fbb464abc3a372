package gate

import (
	"context"

	"github.com/drayage/dray/fault"
)

// Gate decides whether images may move. It is asked once for each image that a run would copy, before
// anything of it moves. Its methods are safe for concurrent use.
type Gate interface {
	// Admit returns nil if the image may move. Any error keeps it where it is: [Refuse] makes one that
	// says what the gate found. An image that cannot be checked must be an error, too.
	Admit(ctx context.Context, image *Image) error
}

// All is a gate that admits an image if each of its gates does. They are asked in their order, and the
// first error counts.
type All []Gate

// Admit asks each gate of all.
func (all All) Admit(ctx context.Context, image *Image) error {
	for _, g := range all {
		if err := g.Admit(ctx, image); err != nil {
			return err
		}
	}
	return nil
}

// Refuse returns the error of a gate that refuses image. policy says which gate it is, such as
// "gate prod", found what it found, and hint what a person can do about it, or "". The Kind is
// [fault.Refused].
func Refuse(image *Image, policy string, found error, hint string) error {
	return &fault.Fault{
		Kind: fault.Refused,
		Side: fault.Source,
		Op:   policy + " refuses",
		Name: image.Name.String(),
		Hint: hint,
		Err:  found,
	}
}
