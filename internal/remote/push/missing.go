package push

import (
	"cmp"
	"context"

	"github.com/drayage/dray/oci"
)

// Missing returns those of blobs that the repository lacks, in their order. A repository that does
// not exist lacks all of them. With more than two blobs, one request asks about that first;
// otherwise each blob is asked for. If content is being written (Use.Writing) and the first request
// of an upload tells whether its blob exists, Missing makes no request, and blobs of unknown state
// count as missing.
func (r *Pusher) Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	unknown := r.unknown(blobs)
	switch {
	case len(unknown) > 0 && r.leaves():
		r.known.leave(len(unknown))
	default:
		if len(unknown) > 2 {
			if err := r.askEmpty(ctx); err != nil {
				return nil, err
			}
			unknown = r.unknown(unknown)
		}
		if err := r.askEach(ctx, unknown); err != nil {
			return nil, err
		}
	}
	var missing []oci.Descriptor
	for _, d := range blobs {
		if there, _ := r.known.has(d.Digest); !there {
			missing = append(missing, d)
		}
	}
	return missing, nil
}

func (r *Pusher) askEach(ctx context.Context, blobs []oci.Descriptor) error {
	return r.askAll(ctx, blobs, func(ctx context.Context, d oci.Descriptor) error {
		_, err := r.hasBlob(ctx, d)
		return err
	})
}

// Prove returns those of blobs that do not exist with their size, in their order. It sends one HEAD
// for each, or a GET of one byte where HEAD is refused (see look), and only once: a
// proven blob stays proven until it is put or distrusted. An answer without a length counts as the
// right size. If the registry answers neither 200 nor 404, nothing is proven, and Prove returns an
// error.
func (r *Pusher) Prove(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error) {
	if err := r.askAll(ctx, r.known.unproven(blobs), r.proveBlob); err != nil {
		return nil, err
	}
	return r.known.unproven(blobs), nil
}

// Distrust makes the next Put of each of blobs upload its bytes.
func (r *Pusher) Distrust(blobs []oci.Descriptor) { r.known.disown(blobs) }

func (r *Pusher) proveBlob(ctx context.Context, d oci.Descriptor) error {
	there, refused, err := r.look(ctx, d)
	if err := cmp.Or(err, refused); err != nil {
		return err
	}
	r.known.proof(d.Digest, there)
	return nil
}
