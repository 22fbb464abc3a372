package gate

import (
	"context"
	"io"

	"github.com/drayage/dray/oci"
)

// Source is the repository that an image would be copied from. Its methods are safe for concurrent use.
type Source interface {
	// Document reads a manifest or an index by tag or digest. The error is NotFound if there is none.
	Document(ctx context.Context, reference string) (oci.Document, error)

	// Blob reads n bytes of d, beginning at byte at, or all that follow if n < 0. The body begins at byte
	// from, which may be less than at. The bytes are not verified.
	Blob(ctx context.Context, d oci.Descriptor, at, n int64) (body io.ReadCloser, from int64, err error)

	// Referrers lists the documents whose subject is d. If there are none, the list is empty. It is an error if
	// the repository does not say what refers to d.
	Referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error)

	// Attachments lists the documents that refer to the image or to a document below it, and those under their
	// digest tags, each once, without those that the repository does not have. It is an error if it does not say what
	// they are.
	Attachments(ctx context.Context) ([]oci.Descriptor, error)
}

// readBlob reads all of a blob and verifies it.
func readBlob(ctx context.Context, from Source, d oci.Descriptor) ([]byte, error) {
	body, _, err := from.Blob(ctx, d, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return oci.ReadAll(body, d)
}
