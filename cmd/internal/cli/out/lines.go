package out

import (
	"errors"
	"os"
	"strings"

	"github.com/drayage/dray/fault"
)

// ErrorLine is what a person is told of err.
func ErrorLine(err error) string {
	line := "dray: " + err.Error()
	if hint := fault.HintOf(err); hint != "" {
		line += " (hint: " + hint + ")"
	}
	return OneLine(line)
}

// OneLine takes out what a registry's answer could do to a terminal or a log.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// hinted is an error with a next step of ours.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error {
	f := &fault.Fault{Kind: fault.KindOf(h.error), Hint: h.hint, Err: h.error}
	var of *fault.Fault
	if errors.As(h.error, &of) {
		f.Side = of.Side
	}
	return f
}

// WithHint is err with a next step of ours.
func WithHint(err error, hint string) error { return hinted{err, hint} }

// Bare takes the path out of err: the Fault around it says it.
func Bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
