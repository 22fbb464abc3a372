package trim

import (
	"fmt"
	"maps"
	"slices"

	"github.com/drayage/dray/plan"
)

// Count counts the names that get a part of an image.
type Count struct {
	trimmed int
	sparse  int
	lacking map[string]int // by the platforms that images lack
}

// Add counts the steps that copy a part of an image.
func (c *Count) Add(steps []plan.Step) {
	for _, s := range steps {
		if s.Trim.Lacks != "" && s.Action != plan.Broken {
			if c.lacking == nil {
				c.lacking = map[string]int{}
			}
			c.lacking[s.Trim.Lacks]++
		}
		switch {
		case !s.Moves() || !s.Trim.Partial():
		case s.Trim.Form == plan.Sparse:
			c.sparse++
		default:
			c.trimmed++
		}
	}
}

// Notes says what a person should know about them before the plan is applied.
func (c *Count) Notes() (notes []string) {
	if c.trimmed > 0 {
		notes = append(notes, fmt.Sprintf("%s an index of some platforms only, with another digest: "+
			"signatures of the whole index do not match it", names(c.trimmed)))
	}
	if c.sparse > 0 {
		notes = append(notes, fmt.Sprintf("%s a sparse index: it lists images that the target does not get",
			names(c.sparse)))
	}
	for _, lacks := range slices.Sorted(maps.Keys(c.lacking)) {
		notes = append(notes, fmt.Sprintf("%s an image that has no %s", names(c.lacking[lacks]), lacks))
	}
	return notes
}

func names(n int) string {
	if n == 1 {
		return "1 name gets"
	}
	return fmt.Sprintf("%d names get", n)
}
