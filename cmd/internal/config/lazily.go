package config

import (
	"regexp"
	"sync"
)

// lazily compiles expr when it is first used: a run without a configuration uses none.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
