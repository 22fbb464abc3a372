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
	// TrimsFor is how long the trims of a repository's images are kept after the last change: 90 days.
	TrimsFor = 90 * 24 * time.Hour

	maxTrims = 20_000 // trims of one repository; the oldest are dropped
)

// Trim is what an image becomes if only some platforms of it are copied.
type Trim struct {
	Digest oci.Digest // of the trimmed index; "" if the image stays as it is
	Size   int64      // bytes of the trimmed index
	Found  string     // the platforms that it has of those that were asked for, as oci.PlatformsString writes them
}

// Trims remembers what images become if only some platforms of them are copied, so that each image is read
// only once. It is safe for concurrent use, also by several processes that use the same directory. A nil
// Trims remembers nothing.
type Trims struct {
	notes notes
}

// NewTrims returns the Trims in the directory dir, or nil if dir is "". It does no I/O.
func NewTrims(dir string) *Trims {
	if dir == "" {
		return nil
	}
	return &Trims{notes{dir: filepath.Join(dir, "trims"), head: "dray trims 1\n", most: maxTrims, keep: TrimsFor}}
}

// Of returns what the images of repo become for the platforms asked, by their digest.
func (t *Trims) Of(repo ref.Repo, asked string) map[oci.Digest]Trim {
	if t == nil {
		return nil
	}
	known := map[oci.Digest]Trim{}
	for _, line := range t.notes.read(repo) {
		if d, of, trim, ok := readTrim(line); ok && of == asked {
			known[d] = trim
		}
	}
	return known
}

// Note adds what images of repo become for the platforms asked. An error comes from the disk and has the Kind
// Full, Denied or Unavailable; it affects nothing but the trims.
func (t *Trims) Note(repo ref.Repo, asked string, made map[oci.Digest]Trim) error {
	if t == nil || len(made) == 0 {
		return nil
	}
	return t.notes.change(repo, func(lines []string) []string {
		known := map[oci.Digest]bool{}
		var all []string
		for _, line := range lines {
			d, of, _, ok := readTrim(line)
			if ok && (of != asked || !known[d]) {
				all = append(all, line)
			}
			known[d] = known[d] || of == asked
		}
		for d, trim := range made {
			if !known[d] {
				all = append(all, trimLine(d, asked, trim))
			}
		}
		return all
	})
}

// whole stands for the digest of an image that stays as it is.
const whole = "whole"

func trimLine(d oci.Digest, asked string, t Trim) string {
	to := string(t.Digest)
	if to == "" {
		to = whole
	}
	return summed(fmt.Sprintf("%s %s %s %d %s", d, asked, to, t.Size, t.Found))
}

func readTrim(line string) (d oci.Digest, asked string, t Trim, ok bool) {
	parts := fields(line)
	if len(parts) != 5 || ref.Digest(parts[0]) != nil || parts[2] != whole && ref.Digest(parts[2]) != nil {
		return "", "", Trim{}, false
	}
	if parts[2] != whole {
		t.Digest = oci.Digest(parts[2])
	}
	size, err := strconv.ParseInt(parts[3], 10, 64)
	t.Size, t.Found = size, parts[4]
	return oci.Digest(parts[0]), parts[1], t, err == nil && size >= 0
}

// Sparse remembers which indexes a target repository got without some of their images, because their digests do
// not tell. It keeps them as Proofs keeps proofs. A nil Sparse remembers nothing.
type Sparse struct {
	digests *Proofs
}

// NewSparse returns the Sparse in the directory dir, or nil if dir is "". It does no I/O.
func NewSparse(dir string) *Sparse {
	if dir == "" {
		return nil
	}
	return &Sparse{&Proofs{notes{
		dir: filepath.Join(dir, "sparse"), head: "dray sparse indexes 1\n", most: maxProofs, keep: ProofsFor,
	}}}
}

// Of returns the digests of the indexes that repo does not have whole.
func (s *Sparse) Of(repo ref.Repo) map[oci.Digest]bool {
	if s == nil {
		return nil
	}
	return s.digests.Of(repo)
}

// Note adds the indexes that repo gets without some of their images, and removes those that it has whole. An error
// comes from the disk, as that of Proofs.Note, and affects nothing but the Sparse.
func (s *Sparse) Note(repo ref.Repo, sparse, whole []oci.Digest) error {
	if s == nil {
		return nil
	}
	return s.digests.Note(repo, sparse, whole)
}
