package transfer

import (
	"context"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/oci"
)

// missing returns the blobs that have to be put. If the registry of the target may be able to
// mount them, missing does not ask for them, because the answer to a mount request also tells
// whether the blob is there.
func (e *Engine) missing(ctx context.Context, m *mover, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	var total int64
	for _, b := range blobs {
		total += b.Size
	}
	m.task.tell(event.Event{Kind: event.Sized, Name: m.target.Repo().String(), Total: total, Count: len(blobs)})
	if m.task.Proof != oci.Claimed {
		return e.proveBefore(ctx, m, blobs)
	}
	if len(m.likely) > 0 || len(blobs) == 0 {
		return blobs, nil
	}
	lack, err := m.target.Missing(ctx, blobs)
	if err != nil {
		return nil, err
	}
	lacks := make(map[oci.Digest]bool, len(lack))
	for _, b := range lack {
		lacks[b.Digest] = true
	}
	for _, b := range blobs {
		if !lacks[b.Digest] {
			m.arrived(b, oci.Arrival{Way: oci.Present})
		}
	}
	return lack, nil
}
