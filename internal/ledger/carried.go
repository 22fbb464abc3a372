package ledger

import (
	"path/filepath"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// CarriedFor is how long it is known what a repository has of its sources, after the last change: two years. What a
// source replaces after that time is not replaced at the target.
const CarriedFor = 2 * 365 * 24 * time.Hour

// Carried remembers which digest tags of a target repository were the same as those of a source. If such a tag still
// has that digest, it is not what somebody made at the target, and the target loses nothing of its own if it follows
// the source. It keeps them as Proofs keeps proofs. A nil Carried remembers nothing.
type Carried struct {
	sums *Proofs
}

// NewCarried returns the Carried in the directory dir, or nil if dir is "". It does no I/O.
func NewCarried(dir string) *Carried {
	if dir == "" {
		return nil
	}
	return &Carried{&Proofs{notes{
		dir: filepath.Join(dir, "carried"), head: "dray carried digest tags 1\n", most: maxProofs, keep: CarriedFor,
	}}}
}

// Copied is a digest tag that a target has as its source has, or had it.
type Copied struct {
	From   ref.Repo
	Tag    string
	Digest oci.Digest
}

// sum is how a line of the file names c.
func (c Copied) sum() oci.Digest {
	return oci.Sum([]byte(c.From.Host + "\x00" + c.From.Path + "\x00" + c.Tag + "\x00" + string(c.Digest)))
}

// Has reports whether to had c in an earlier run.
func (c *Carried) Has(to ref.Repo, one Copied) bool { return c != nil && c.sums.Of(to)[one.sum()] }

// Note adds what to has of its sources. It writes only what is new. An error comes from the disk, as that of
// Proofs.Note, and affects nothing but the Carried.
func (c *Carried) Note(to ref.Repo, all []Copied) error {
	if c == nil || len(all) == 0 {
		return nil
	}
	known := c.sums.Of(to)
	var fresh []oci.Digest
	for _, one := range all {
		if sum := one.sum(); !known[sum] {
			fresh = append(fresh, sum)
		}
	}
	return c.sums.Note(to, fresh, nil)
}
