package transfer

import (
	"context"
	"sync"

	"github.com/drayage/dray/oci"
)

// Puts selects the documents that are put.
type Puts string

// Selections of documents.
const (
	// Every puts all documents, including those that the target has.
	Every Puts = ""

	// Lacking puts only the documents that the target does not have by digest. The root is
	// also put if it has to be tagged.
	Lacking Puts = "lacking"
)

// Back reads back what a repository holds. It remembers which blobs were correct, so that a blob
// that many images share is read only once. It is safe for concurrent use.
type Back struct {
	at   Source
	mu   sync.Mutex
	good map[oci.Digest]bool
}

// NewBack returns a Back that reads from at.
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
