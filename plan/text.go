package plan

import (
	"fmt"
	"regexp"
	"sync"
)

// lazily compiles expr when it is first used: most runs need none, and compiling all of
// them would be felt in the start of a small command.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// shown keeps a long pattern readable in an error.
func shown(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
