package trim

import (
	"fmt"
	"maps"
	"slices"

	"github.com/drayage/dray/plan"
)

// Count counts the names that get a part of an image. Its JSON form can be stored and joined to others.
type Count struct {
	Trimmed int            `json:"trimmed,omitempty"`
	Sparse  int            `json:"sparse,omitempty"`
	Lacking map[string]int `json:"lacking,omitempty"` // by the platforms that images lack
}

// Join adds the counts of other to c.
func (c *Count) Join(other Count) {
	c.Trimmed, c.Sparse = c.Trimmed+other.Trimmed, c.Sparse+other.Sparse
	for lacks, n := range other.Lacking {
		c.lack(lacks, n)
	}
}

func (c *Count) lack(lacks string, n int) {
	if c.Lacking == nil {
		c.Lacking = map[string]int{}
	}
	c.Lacking[lacks] += n
}

// Add counts the steps that copy a part of an image.
func (c *Count) Add(steps []plan.Step) {
	for _, s := range steps {
		if s.Trim.Lacks != "" && s.Action != plan.Broken {
			c.lack(s.Trim.Lacks, 1)
		}
		switch {
		case !s.Moves() || !s.Trim.Partial():
		case s.Trim.Form == plan.Sparse:
			c.Sparse++
		default:
			c.Trimmed++
		}
	}
}

// Notes says what a person should know about them before the plan is applied.
func (c *Count) Notes() (notes []string) {
	if c.Trimmed > 0 {
		notes = append(notes, fmt.Sprintf("%s an index of some platforms only, with another digest: "+
			"signatures of the whole index do not match it", names(c.Trimmed)))
	}
	if c.Sparse > 0 {
		notes = append(notes, fmt.Sprintf("%s a sparse index: it lists images that the target does not get",
			names(c.Sparse)))
	}
	for _, lacks := range slices.Sorted(maps.Keys(c.Lacking)) {
		notes = append(notes, fmt.Sprintf("%s an image that has no %s", names(c.Lacking[lacks]), lacks))
	}
	return notes
}

func names(n int) string {
	if n == 1 {
		return "1 name gets"
	}
	return fmt.Sprintf("%d names get", n)
}
