package transfer

import (
	"context"
	"sync"

	"github.com/drayage/dray/oci"
)

// Proof says how much of what is known of a target's blobs is believed.
type Proof string

const (
	// Claimed believes what the target said or was seen to hold, and mounts unasked.
	Claimed Proof = ""

	// Sized asks the target itself for each blob, before it is left out and after it was
	// brought: presence and size. Nothing that was seen, mounted or sent counts.
	Sized Proof = "sized"

	// Hashed is Sized, and reads each blob back: one whose bytes differ from its digest is
	// sent again, and read again. It needs End.Back.
	Hashed Proof = "hashed"
)

// Puts says which documents are put.
type Puts string

const (
	Every   Puts = ""        // all, also those that are there
	Lacking Puts = "lacking" // those that the target does not have by digest; the root where it has to be tagged, too
)

// Back reads back what a repository holds. It remembers which blobs were right, so that of
// many images that share one it is read once. It is safe for concurrent use.
type Back struct {
	at   Source
	mu   sync.Mutex
	good map[oci.Digest]bool
}

// NewBack reads at.
func NewBack(at Source) *Back { return &Back{at: at, good: map[oci.Digest]bool{}} }

func (b *Back) document(ctx context.Context, reference string) (oci.Descriptor, error) {
	doc, err := b.at.Document(ctx, reference)
	return doc.Descriptor, err
}

func (b *Back) knows(d oci.Digest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.good[d]
}

func (b *Back) note(d oci.Digest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.good[d] = true
}
