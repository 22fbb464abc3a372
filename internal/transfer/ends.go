package transfer

import (
	"context"
	"io"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Source is one repository to read from. Its methods are safe for concurrent use. Their errors
// are *fault.Fault without a Side.
type Source interface {
	// Repo returns the identity of the repository. Between equal Repos, no bytes have to move.
	Repo() ref.Repo

	// Resolve returns the descriptor that a tag or digest points to. It sends one HEAD request if
	// that is enough. The error is NotFound if the tag or digest does not exist.
	Resolve(ctx context.Context, reference string) (oci.Descriptor, error)

	// Document reads a manifest or an index by tag or digest, with one GET request. If reference
	// is a digest, the bytes are verified against it. If reference is a tag, the document's
	// Digest is computed from the bytes.
	Document(ctx context.Context, reference string) (oci.Document, error)

	// Blob reads n bytes of d, beginning at byte at. If n < 0, it reads to the end. The body
	// begins at byte from. If the source cannot seek, from may be less than at, and the body then
	// goes on to the end of d. The bytes are not verified, and the body may break off with any
	// error.
	Blob(ctx context.Context, d oci.Descriptor, at, n int64) (body io.ReadCloser, from int64, err error)

	// Referrers lists the documents whose subject is d. If there are none, the list is empty.
	Referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error)
}

// Target is one repository to write to. Its methods are safe for concurrent use. Their errors are
// *fault.Fault without a Side.
type Target interface {
	// Repo returns the identity of the repository.
	Repo() ref.Repo

	// Resolve returns the descriptor that a tag or digest points to. The error is NotFound if the
	// tag or digest does not exist.
	Resolve(ctx context.Context, reference string) (oci.Descriptor, error)

	// Keeps returns an error if the repository is known not to store docs or blobs under the digests
	// that they have. The error is Refused. Keeps sends no request.
	Keeps(docs, blobs []oci.Descriptor) error

	// Missing returns those of blobs that the repository lacks, in the same order. It uses the
	// cheapest way to find out. For a repository that is known to be empty, it sends no request.
	Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error)

	// Prove is like Missing, but trusts no earlier answer. It asks for each blob now, and a blob
	// that is there with another size counts as missing. A blob that was proven is not asked for
	// again until it is put or distrusted. If the repository cannot be asked, Prove returns an
	// error.
	Prove(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error)

	// Distrust marks the copies of blobs in the repository as wrong. The next Put of each blob
	// sends its bytes even if the repository has the blob, and does not mount it.
	Distrust(blobs []oci.Descriptor)

	// Put stores d in the repository. likely names repositories that may hold d; if one of them
	// is at the same registry, Put first tries to mount d from it. Otherwise Put reads d through
	// open, from byte 0 or from the byte at which it can resume. It commits only bytes that match
	// the size and digest of d; if they do not match, the error is Corrupt and nothing is stored.
	// Put returns an error of open unchanged, with its Side, and does not retry it.
	Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error)

	// PutDocument stores the bytes of doc unchanged, by digest and under each of tags. It returns
	// only after the target has confirmed the digest of doc. If a tag is refused, the other tags
	// are still set, and the refused tag is in Accepted.Failed. The error is not nil only if the
	// document could not be stored at all, or if it has a subject and the target cannot list it
	// below that. It is NotFound if the target answers that content below the document is missing.
	PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error)
}
