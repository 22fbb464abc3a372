package fault

import "errors"

// Misuse is an Invalid: op can not be done with name, for cause. hint is the next step, "" for none.
func Misuse(op, name, cause, hint string) error {
	return &Fault{Kind: Invalid, Op: op, Name: name, Hint: hint, Err: errors.New(cause)}
}
