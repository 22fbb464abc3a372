package ledger

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/drayage/dray/oci"
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

const (
	// OperationsFor is how long an operation of a cloud is remembered: one day.
	OperationsFor = 24 * time.Hour

	maxOperations = 1000 // of one repository; the oldest are dropped
)

// Operations remembers which imports a cloud was asked for and has not ended, by the URL that tells their state. A
// process that was killed is so followed by one that waits for them, and does not ask again. It is safe for
// concurrent use, also by several processes that use the same directory. A nil Operations remembers nothing.
type Operations struct {
	notes notes
}

// NewOperations returns the Operations in the directory dir, or nil if dir is "". It does no I/O.
func NewOperations(dir string) *Operations {
	if dir == "" {
		return nil
	}
	return &Operations{notes{dir: filepath.Join(dir, "operations"), head: "dray operations 1\n", most: maxOperations,
		keep: OperationsFor}}
}

// Of returns the URL of the operation that brings the image d to repo; "" if none is known that began in the last day.
func (o *Operations) Of(repo ref.Repo, d oci.Digest) string {
	if o == nil {
		return ""
	}
	found := ""
	for _, line := range o.notes.read(repo) {
		if of, at, began, ok := readOperation(line); ok && of == d && time.Since(began) < OperationsFor {
			found = at
		}
	}
	return found
}

// Note stores the URL of the operation that brings the image d to repo; "" forgets it. An error comes from the disk
// and has the Kind Full, Denied or Unavailable; it affects nothing but the Operations.
func (o *Operations) Note(repo ref.Repo, d oci.Digest, at string) error {
	if o == nil {
		return nil
	}
	return o.notes.change(repo, func(lines []string) []string {
		var all []string
		for _, line := range lines {
			if of, _, began, ok := readOperation(line); ok && of != d && time.Since(began) < OperationsFor {
				all = append(all, line)
			}
		}
		if at == "" {
			return all
		}
		return append(all, summed(fmt.Sprintf("%s %d %s", d, time.Now().UnixNano(), at)))
	})
}

func readOperation(line string) (d oci.Digest, at string, began time.Time, ok bool) {
	parts := fields(line)
	if len(parts) != 3 || ref.Digest(parts[0]) != nil {
		return "", "", time.Time{}, false
	}
	nanos, err := strconv.ParseInt(parts[1], 10, 64)
	return oci.Digest(parts[0]), parts[2], time.Unix(0, nanos), err == nil
}
