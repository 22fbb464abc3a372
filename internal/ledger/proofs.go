package ledger

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const (
	// ProofsFor is how long the proofs of a repository are kept after the last change: 90 days.
	ProofsFor = 90 * 24 * time.Hour

	maxProofs = 20_000 // proofs of one repository; the oldest are dropped
)

// Proofs remembers which images of a repository were proven to be complete at some time. The
// images may have changed since. It is safe for concurrent use, also by several processes that
// use the same directory. A nil Proofs remembers nothing.
type Proofs struct {
	notes notes
}

// NewProofs returns the Proofs in the directory dir, or nil if dir is "". It does no I/O.
func NewProofs(dir string) *Proofs {
	if dir == "" {
		return nil
	}
	return &Proofs{notes{dir: filepath.Join(dir, "proofs"), head: "dray proofs 1\n", most: maxProofs, keep: ProofsFor}}
}

// Of returns the digests of the images that were proven to be complete in repo.
func (p *Proofs) Of(repo ref.Repo) map[oci.Digest]bool {
	if p == nil {
		return nil
	}
	proven := map[oci.Digest]bool{}
	for _, d := range p.notes.read(repo) {
		if ref.Digest(d) == nil {
			proven[oci.Digest(d)] = true
		}
	}
	return proven
}

// Note adds the images that were proven in repo, and removes those that were found to be
// incomplete. An error comes from the disk and has the Kind Full, Denied or Unavailable; it
// affects nothing but the proofs.
func (p *Proofs) Note(repo ref.Repo, proven, broken []oci.Digest) error {
	if p == nil || len(proven)+len(broken) == 0 {
		return nil
	}
	out := map[string]bool{} // digests to remove from their present lines
	for _, d := range append(append([]oci.Digest{}, proven...), broken...) {
		out[string(d)] = true
	}
	return p.notes.change(repo, func(lines []string) []string {
		all := slices.DeleteFunc(lines, func(d string) bool { return out[d] || ref.Digest(d) != nil })
		for _, d := range broken {
			delete(out, string(d))
		}
		for _, d := range proven {
			if out[string(d)] {
				delete(out, string(d))
				all = append(all, string(d))
			}
		}
		return all
	})
}
