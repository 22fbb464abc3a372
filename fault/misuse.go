package fault

import "errors"

// Misuse returns a Fault of Kind [Invalid]: op cannot be done to name because of cause. hint is the
// next step for a person; "" means none.
func Misuse(op, name, cause, hint string) error {
	return &Fault{Kind: Invalid, Op: op, Name: name, Hint: hint, Err: errors.New(cause)}
}
