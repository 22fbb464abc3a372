package plan

import (
	"regexp"
	"sync"
)

// lazily compiles expr when it is first used: most runs need none, and compiling all of
// them would be felt in the start of a small command.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
