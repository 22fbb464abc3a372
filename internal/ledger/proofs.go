package ledger

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const (
	// ProofsFor is how long the proofs of a repository count after the last of them: 90 days.
	ProofsFor = 90 * 24 * time.Hour

	maxProofs = 20_000 // of a repository; the oldest are forgotten
)

// Proofs remembers which images of a repository were once proven to be whole there. It says
// nothing of what became of them since. It is safe for concurrent use, by any number of
// processes on one directory. The nil Proofs remembers nothing.
type Proofs struct {
	notes notes
}

// NewProofs returns the Proofs kept under dir; nil for "". It does no I/O.
func NewProofs(dir string) *Proofs {
	if dir == "" {
		return nil
	}
	return &Proofs{notes{dir: filepath.Join(dir, "proofs"), head: "dray proofs 1\n", most: maxProofs, keep: ProofsFor}}
}

// Of returns what was proven in repo.
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

// Note adds what was proven in repo and takes out what was found to lack something. An error
// is one of the disk: Full, Denied or Unavailable; nothing else is wrong then.
func (p *Proofs) Note(repo ref.Repo, proven, broken []oci.Digest) error {
	if p == nil || len(proven)+len(broken) == 0 {
		return nil
	}
	out := map[string]bool{} // what is not kept where it stands
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
