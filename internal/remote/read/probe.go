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

// HasReferrers asks whether the registry has the referrers API. known is false if the answer does
// not tell.
func (r *Reader) HasReferrers(ctx context.Context, d oci.Digest) (has, known bool, err error) {
	c := r.Call("list referrers of", http.MethodGet, "/referrers/"+string(d), r.Repo.At(string(d)).String())
	if err := c.Checked(string(d)); err != nil {
		return false, false, err
	}
	c.Limit = oci.MaxDocument
	a, err := r.Host.Do(ctx, c, 200, 400, 403, 404, 405, 501)
	if err != nil {
		return false, false, err
	}
	code, _ := a.Problem()
	switch {
	case a.Status == http.StatusOK:
		return true, true, nil
	case a.Status == http.StatusNotFound && code == "NAME_UNKNOWN",
		a.Status == http.StatusForbidden, a.Status == http.StatusBadRequest:
		return false, false, nil
	}
	return false, true, nil
}
