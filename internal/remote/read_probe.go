package remote

import (
	"context"
	"net/http"

	"github.com/drayage/dray/oci"
)

// Ranges asks for the first byte of a blob of at least two, and reports whether that is what came.
func (r *reader) Ranges(ctx context.Context, d oci.Descriptor) (bool, error) {
	c := r.call("read a byte of", http.MethodGet, "/blobs/"+string(d.Digest), r.blobName(d))
	if err := c.checked(string(d.Digest)); err != nil {
		return false, err
	}
	c.lane = down
	body, err := r.ranged(ctx, c, d, 0, 1)
	if err != nil || body == nil {
		return false, err
	}
	return true, body.Close()
}

// HasReferrers asks whether the registry has the referrers API; known is false where its answer does not tell.
func (r *reader) HasReferrers(ctx context.Context, d oci.Digest) (has, known bool, err error) {
	c := r.call("list referrers of", http.MethodGet, "/referrers/"+string(d), r.repo.At(string(d)).String())
	if err := c.checked(string(d)); err != nil {
		return false, false, err
	}
	c.limit = oci.MaxDocument
	a, err := r.host.do(ctx, c, 200, 400, 403, 404, 405, 501)
	if err != nil {
		return false, false, err
	}
	code, _ := a.problem()
	switch {
	case a.status == http.StatusOK:
		return true, true, nil
	case a.status == http.StatusNotFound && code == "NAME_UNKNOWN", a.status == http.StatusForbidden, a.status == http.StatusBadRequest:
		return false, false, nil
	}
	return false, true, nil
}
