package plan

import (
	"fmt"
	"regexp"
	"sync"

	"github.com/drayage/dray/fault"
)

// lazily returns a function that compiles expr at its first call. Most runs need none of the expressions,
// and compiling all of them would noticeably delay the start of a small command.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// invalid returns the error about a text that op cannot use: its name, the cause, and a hint or "".
func invalid(op, name string, cause error, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: op, Name: name, Err: cause, Hint: hint}
}

// shown quotes s for an error, and shortens it if it is long.
func shown(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
