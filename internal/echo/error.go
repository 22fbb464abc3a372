package echo

import (
	"errors"

	"github.com/drayage/dray/fault"
)

// Error returns err without what was sent. The Kinds, the names and what else [errors.Is] and [errors.As] find
// stay. Names are those that a person chose, so they are not cut. A nil Sent changes nothing.
func (s *Sent) Error(err error) error {
	if err == nil || s == nil || s.Cut(err.Error()) == err.Error() && s.Cut(fault.HintOf(err)) == fault.HintOf(err) {
		return err
	}
	if f, ok := err.(*fault.Fault); ok { //nolint:errorlint // those inside are found below
		clean := *f
		clean.Hint, clean.Err = s.Cut(f.Hint), s.Error(f.Err)
		return &clean
	}
	return &quiet{err, s}
}

// quiet is an error whose text has what was sent.
type quiet struct {
	err  error
	sent *Sent
}

func (q *quiet) Error() string { return q.sent.Cut(q.err.Error()) }

// Unwrap returns what is inside, without what was sent.
func (q *quiet) Unwrap() []error {
	var inside []error
	switch e := q.err.(type) { //nolint:errorlint // each level is unwrapped by itself
	case interface{ Unwrap() error }:
		inside = []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		inside = append(inside, e.Unwrap()...)
	}
	for i, err := range inside {
		inside[i] = q.sent.Error(err)
	}
	return inside
}

// Is reports whether the error itself is target.
func (q *quiet) Is(target error) bool { return errors.Is(q.err, target) }

// As finds what the error itself is, except for a Fault, which Unwrap shows without what was sent.
func (q *quiet) As(target any) bool {
	if _, is := target.(**fault.Fault); is {
		return false
	}
	return errors.As(q.err, target)
}
