package ledger

import (
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const (
	// TimesFor is how long the times of a repository's images are kept after the last of them: 90 days.
	TimesFor = 90 * 24 * time.Hour

	maxTimes = 20_000 // of a repository; the oldest are forgotten
)

// Times remembers when images were made, as their configurations say, so that these are
// read once. It is safe for concurrent use, by any number of processes on one directory.
// The nil Times remembers nothing.
type Times struct {
	notes notes
}

// NewTimes returns the Times kept under dir; nil for "". It does no I/O.
func NewTimes(dir string) *Times {
	if dir == "" {
		return nil
	}
	return &Times{notes{dir: filepath.Join(dir, "times"), head: "dray times 1\n", most: maxTimes, keep: TimesFor}}
}

// Of returns what is known of the images of repo.
func (t *Times) Of(repo ref.Repo) map[oci.Digest]time.Time {
	if t == nil || repo.IsLayout() {
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

// Note adds times of images of repo. An error is one of the disk: Full, Denied or
// Unavailable; nothing else is wrong then. Of two that write at once the second gives up.
func (t *Times) Note(repo ref.Repo, made map[oci.Digest]time.Time) error {
	if t == nil || repo.IsLayout() || len(made) == 0 {
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

// timeLine is a digest, nanoseconds since 1970, and a checksum of both: a time that was
// damaged would select other images.
func timeLine(d oci.Digest, at time.Time) string {
	text := fmt.Sprintf("%s %d", d, at.UnixNano())
	return fmt.Sprintf("%s %08x", text, crc32.ChecksumIEEE([]byte(text)))
}

func readTime(line string) (oci.Digest, time.Time, bool) {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || ref.Digest(parts[0]) != nil {
		return "", time.Time{}, false
	}
	nanos, err := strconv.ParseInt(parts[1], 10, 64)
	at := time.Unix(0, nanos).UTC()
	return oci.Digest(parts[0]), at, err == nil && timeLine(oci.Digest(parts[0]), at) == line
}
