package transfer

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/drayage/dray/internal/transfer/fetch"
	"github.com/drayage/dray/oci"
)

// move copies blobs, the largest first, and stops at the first error. Blobs that have arrived
// stay at the target: content without a name does no harm, and the next run finds it.
func (m *mover) move(ctx context.Context, blobs []oci.Descriptor) error {
	blobs = slices.Clone(blobs)
	slices.SortStableFunc(blobs, largestFirst)
	small := slices.IndexFunc(blobs, func(b oci.Descriptor) bool { return b.Size < fetch.SmallBlob })
	if small < 0 {
		small = len(blobs)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all([][]oci.Descriptor{blobs[:small], blobs[small:]}, func(list []oci.Descriptor) {
		if err := m.inOrder(ctx, list); err != nil {
			cancel(err)
		}
	})
	return context.Cause(ctx)
}

// inOrder copies blobs in the order of the list, as places become free. If another goroutine
// already puts a blob to the same repository, inOrder waits for that blob in the background, and
// the waiting takes no place.
func (m *mover) inOrder(ctx context.Context, blobs []oci.Descriptor) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, b := range blobs {
		land, others := m.claim(b)
		if others == nil {
			leave, ok := m.engine.blobs(ctx, b)
			if !ok {
				land(false)
				break
			}
			wg.Go(func() {
				defer leave()
				err := m.put(ctx, b, m.likely)
				land(err == nil)
				if err != nil {
					cancel(err)
				}
			})
			continue
		}
		wg.Go(func() {
			if err := m.putAfter(ctx, b, others, m.engine.fetch.Places.Enter); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func largestFirst(a, b oci.Descriptor) int { return cmp.Compare(b.Size, a.Size) }
