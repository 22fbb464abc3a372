package out

import (
	"errors"
	"os"

	"github.com/drayage/dray/cmd/internal/visible"
	"github.com/drayage/dray/fault"
)

// ErrorLine returns err and its hint as one line.
func ErrorLine(err error) string {
	line := "dray: " + err.Error()
	if hint := fault.HintOf(err); hint != "" {
		line += " (hint: " + hint + ")"
	}
	return OneLine(line)
}

// OneLine returns s on one line, with what is not seen in it escaped, since text from a registry must not be able to
// control a terminal or to forge lines of a log.
func OneLine(s string) string { return visible.Line(s) }

// hinted is an error with another hint.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error {
	f := &fault.Fault{Kind: fault.KindOf(h.error), Hint: h.hint, Err: h.error}
	if of, ok := errors.AsType[*fault.Fault](h.error); ok {
		f.Side = of.Side
	}
	return f
}

// WithHint returns err with hint in place of its own hint.
func WithHint(err error, hint string) error { return hinted{err, hint} }

// Bare returns err without the path in it, since the Fault around err names the path.
func Bare(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}
