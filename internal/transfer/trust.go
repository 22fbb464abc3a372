package transfer

import (
	"context"
	"sync"

	"github.com/drayage/dray/oci"
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
