package read

import (
	"context"
	"net/http"

	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
)

// Ranges requests the first byte of a blob, which must have at least two bytes, and reports whether
// the registry returned exactly that range.
func (r *Reader) Ranges(ctx context.Context, d oci.Descriptor) (bool, error) {
	c := r.Call("read a byte of", http.MethodGet, "/blobs/"+string(d.Digest), r.BlobName(d))
	if err := c.Checked(string(d.Digest)); err != nil {
		return false, err
	}
	c.Lane = wire.Down
	body, err := r.ranged(ctx, c, d, 0, 1)
	if err != nil || body == nil {
		return false, err
	}
	return true, body.Close()
}
