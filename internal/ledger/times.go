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
	// TimesFor is how long the times of a repository's images are kept after the last change: 90
	// days.
	TimesFor = 90 * 24 * time.Hour

	maxTimes = 20_000 // times of one repository; the oldest are dropped
)

// Times remembers when images were created, as their configurations say, so that each
// configuration is read only once. It is safe for concurrent use, also by several processes that
// use the same directory. A nil Times remembers nothing.
type Times struct {
	notes notes
}

// NewTimes returns the Times in the directory dir, or nil if dir is "". It does no I/O.
func NewTimes(dir string) *Times {
	if dir == "" {
		return nil
	}
	return &Times{notes{dir: filepath.Join(dir, "times"), head: "dray times 1\n", most: maxTimes, keep: TimesFor}}
}

// Of returns the known times of the images of repo.
func (t *Times) Of(repo ref.Repo) map[oci.Digest]time.Time {
	if t == nil {
		return nil
	}
	known := map[oci.Digest]time.Time{}
	for _, line := range t.notes.read(repo) {
		if d, at, ok := readTime(line); ok {
			known[d] = at
		}
	}
	return known
}

// Note adds times of images of repo. An error comes from the disk and has the Kind Full, Denied
// or Unavailable; it affects nothing but the times.
func (t *Times) Note(repo ref.Repo, made map[oci.Digest]time.Time) error {
	if t == nil || len(made) == 0 {
		return nil
	}
	return t.notes.change(repo, func(lines []string) []string {
		known := map[oci.Digest]bool{}
		var all []string
		for _, line := range lines {
			if d, _, ok := readTime(line); ok && !known[d] {
				known[d] = true
				all = append(all, line)
			}
		}
		for d, at := range made {
			if !known[d] {
				all = append(all, timeLine(d, at))
			}
		}
		return all
	})
}

// timeLine formats a time as nanoseconds since 1970.
func timeLine(d oci.Digest, at time.Time) string {
	return summed(fmt.Sprintf("%s %d", d, at.UnixNano()))
}

func readTime(line string) (oci.Digest, time.Time, bool) {
	parts := fields(line)
	if len(parts) != 2 || ref.Digest(parts[0]) != nil {
		return "", time.Time{}, false
	}
	nanos, err := strconv.ParseInt(parts[1], 10, 64)
	return oci.Digest(parts[0]), time.Unix(0, nanos).UTC(), err == nil
}
