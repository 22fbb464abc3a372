package ledger

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/drayage/dray/ref"
)

const (
	// MarksFor is how long the marks of a target are kept after the last of them: 90 days.
	MarksFor = 90 * 24 * time.Hour

	maxMarks = 1000 // of a target; the oldest are forgotten
)

// Mark says how far a source was brought to a target, all of it.
type Mark struct {
	Through time.Time // when the newest of its tags was set, by the source's clock
	Full    time.Time // when it was last listed as a whole
}

// Marks remembers which source repositories a target repository has all of, and as of when. It is
// safe for concurrent use, by any number of processes on one directory. The nil Marks
// remembers nothing.
type Marks struct {
	notes notes
}

// NewMarks returns the Marks kept under dir; nil for "". It does no I/O.
func NewMarks(dir string) *Marks {
	if dir == "" {
		return nil
	}
	return &Marks{notes{dir: filepath.Join(dir, "marks"), head: "dray marks 1\n", most: maxMarks, keep: MarksFor}}
}

// Of returns the mark of from at to; the zero Mark where there is none.
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

// Note keeps the mark of from at to. An error is one of the disk: Full, Denied or
// Unavailable; nothing else is wrong then.
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
