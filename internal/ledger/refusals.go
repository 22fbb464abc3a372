package ledger

import (
	"path/filepath"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Refusals remembers which referrers a target repository refused although it took their image, so that
// a verification does not look for them in vain. It keeps them as Proofs keeps proofs. A nil Refusals
// remembers nothing.
type Refusals struct {
	digests *Proofs
}

// NewRefusals returns the Refusals in the directory dir, or nil if dir is "". It does no I/O.
func NewRefusals(dir string) *Refusals {
	if dir == "" {
		return nil
	}
	return &Refusals{&Proofs{notes{
		dir: filepath.Join(dir, "refused"), head: "dray refused referrers 1\n", most: maxProofs, keep: ProofsFor,
	}}}
}

// Of returns the digests of the referrers that repo refused.
func (r *Refusals) Of(repo ref.Repo) map[oci.Digest]bool {
	if r == nil {
		return nil
	}
	return r.digests.Of(repo)
}

// Note adds the referrers that repo refused, and removes those that it has taken since. An error comes from
// the disk, as that of Proofs.Note, and affects nothing but the Refusals.
func (r *Refusals) Note(repo ref.Repo, refused, taken []oci.Digest) error {
	if r == nil {
		return nil
	}
	return r.digests.Note(repo, refused, taken)
}
