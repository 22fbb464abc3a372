package remote

import (
	"context"
	"net/http"

	"github.com/drayage/dray/oci"
)

// Direct leaves mirrors out: what is asked then shows the registry itself. Call it before
// anything else.
func (r *Repository) Direct() *Repository {
	r.mirrors = nil
	return r
}

// Prove returns those of blobs that are not there with their size, in their order. Each is
// asked for with one HEAD (distribution-spec v1.1.1 §Checking if content exists in the
// registry), once: what an answer proved holds until the blob is put or distrusted. A size
// that the registry does not tell is not held against it. A registry that answers neither
// 200 nor 404 has proven nothing: that is an error.
func (r *Repository) Prove(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	if err := r.askAll(ctx, r.known.unproven(blobs), r.proveBlob); err != nil {
		return nil, err
	}
	return r.known.unproven(blobs), nil
}

// Distrust makes the next Put of each of blobs send its bytes.
func (r *Repository) Distrust(blobs []oci.Descriptor) { r.known.disown(blobs) }

func (r *Repository) proveBlob(ctx context.Context, d oci.Descriptor) error {
	c := r.call("look for blob", http.MethodHead, "/blobs/"+string(d.Digest), r.blobName(d))
	if err := c.checked(string(d.Digest)); err != nil {
		return err
	}
	a, err := r.host.do(ctx, c, 200, 404)
	if err != nil {
		return err
	}
	r.known.proof(d.Digest, a.status == 200 && (a.length < 0 || a.length == d.Size))
	return nil
}

// proof notes what the registry itself says of a blob. One that is doubted stays so until
// it was put: its size was right before, too.
func (i *inventory) proof(d oci.Digest, there bool) {
	if there && i.doubted(d) {
		return
	}
	i.note(d, there)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.proven == nil {
		i.proven = map[oci.Digest]bool{}
	}
	i.proven[d] = there
}

func (i *inventory) unproven(blobs []oci.Descriptor) []oci.Descriptor {
	i.mu.Lock()
	defer i.mu.Unlock()
	var list []oci.Descriptor
	for _, d := range blobs {
		if !i.proven[d.Digest] {
			list = append(list, d)
		}
	}
	return list
}

// doubted reports whether only sending the blob proves anything.
func (i *inventory) doubted(d oci.Digest) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.doubt[d] && !i.blobs[d]
}
