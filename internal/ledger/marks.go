package ledger

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/drayage/dray/ref"
)

const (
	// MarksFor is how long the marks of a target are kept after the last change: 90 days.
	MarksFor = 90 * 24 * time.Hour

	maxMarks = 1000 // marks of one target; the oldest are dropped
)

// Mark records that everything in a source up to a point in time was copied to a target.
type Mark struct {
	Through time.Time // when the newest tag was set, by the clock of the source
	Full    time.Time // when all tags of the source were last listed
}

// Marks remembers which source repositories were copied completely to a target repository, and up
// to which time. It is safe for concurrent use, also by several processes that use the same
// directory. A nil Marks remembers nothing.
type Marks struct {
	notes notes
}

// NewMarks returns the Marks in the directory dir, or nil if dir is "". It does no I/O.
func NewMarks(dir string) *Marks {
	if dir == "" {
		return nil
	}
	return &Marks{notes{dir: filepath.Join(dir, "marks"), head: "dray marks 1\n", most: maxMarks, keep: MarksFor}}
}

// Of returns the mark of the source from at the target to. If there is none, it returns the zero
// Mark.
func (m *Marks) Of(from, to ref.Repo) Mark {
	if m == nil {
		return Mark{}
	}
	for _, line := range m.notes.read(to) {
		if repo, mark, ok := readMark(line); ok && repo == from.String() {
			return mark
		}
	}
	return Mark{}
}

// Note stores the mark of the source from at the target to. An error comes from the disk and has
// the Kind Full, Denied or Unavailable; it affects nothing but the mark.
func (m *Marks) Note(from, to ref.Repo, mark Mark) error {
	if m == nil {
		return nil
	}
	return m.notes.change(to, func(lines []string) []string {
		var all []string
		for _, line := range lines {
			if repo, _, ok := readMark(line); ok && repo != from.String() {
				all = append(all, line)
			}
		}
		return append(all, markLine(from.String(), mark))
	})
}

func markLine(from string, m Mark) string {
	return summed(fmt.Sprintf("%s %d %d", from, m.Through.UnixNano(), m.Full.UnixNano()))
}

func readMark(line string) (from string, m Mark, ok bool) {
	parts := fields(line)
	if len(parts) != 3 {
		return "", Mark{}, false
	}
	through, err1 := strconv.ParseInt(parts[1], 10, 64)
	full, err2 := strconv.ParseInt(parts[2], 10, 64)
	m = Mark{Through: time.Unix(0, through).UTC(), Full: time.Unix(0, full).UTC()}
	return parts[0], m, err1 == nil && err2 == nil
}
