package transfer

import (
	"context"
	"io"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Source is one repository to read from. Its methods are safe for concurrent use;
// their errors are *fault.Fault without a Side.
type Source interface {
	// Repo is the identity of the repository: between equal Repos no byte has to move.
	Repo() ref.Repo

	// Resolve asks what a tag or digest points to: one HEAD, where that is enough. NotFound when it is not there.
	Resolve(ctx context.Context, reference string) (oci.Descriptor, error)

	// Document reads a manifest or an index by tag or digest: one GET. Read by
	// digest, its bytes are verified against it; by tag, the document's Digest is
	// that of the bytes.
	Document(ctx context.Context, reference string) (oci.Document, error)

	// Blob reads n bytes of d from byte at on; n < 0 reads to the end. The body
	// begins at byte from, which may be less than at where the source can not
	// seek: then it goes on to the end of d. What it yields is not verified; it may break off with any error.
	Blob(ctx context.Context, d oci.Descriptor, at, n int64) (body io.ReadCloser, from int64, err error)

	// Referrers lists the documents whose subject is d. None is an empty list.
	Referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error)
}

// Target is one repository to write to. Its methods are safe for concurrent use;
// their errors are *fault.Fault without a Side.
type Target interface {
	// Repo is the identity of the repository.
	Repo() ref.Repo

	// Resolve asks what a tag or digest points to. NotFound when it is not there.
	Resolve(ctx context.Context, reference string) (oci.Descriptor, error)

	// Missing returns those of blobs that the repository lacks, in the same order.
	// It asks in the way that costs least: nothing at all of a repository known
	// to be empty.
	Missing(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error)

	// Prove is Missing for whoever believes nothing: each blob is asked for now, and one
	// that is there with another size is missing. What was proven is not asked for again
	// until it is put or distrusted. A repository that can not be asked is an error.
	Prove(ctx context.Context, blobs []oci.Descriptor) ([]oci.Descriptor, error)

	// Distrust says that what the repository shows of blobs is wrong: the next Put of
	// each sends its bytes, whatever is there, and mounts nothing.
	Distrust(blobs []oci.Descriptor)

	// Put brings d into the repository. likely names repositories that may hold
	// d: where one is at the same registry the target first tries to mount from
	// it. Otherwise it reads d through open, from byte 0 or wherever it can go
	// on, and commits only what matches d's size and digest; a mismatch is
	// Corrupt and leaves nothing behind. An error of open comes back as it is,
	// with its Side, and is not retried here.
	Put(ctx context.Context, d oci.Descriptor, likely []ref.Repo, open oci.Opener) (oci.Arrival, error)

	// PutDocument stores doc's bytes as they are, by digest and under each of
	// tags, and returns only when the target confirmed doc's digest. A tag that
	// is refused does not hold back the others: it is in Accepted.Failed. The
	// error is for a document that could not be stored at all: NotFound when
	// the target says that something below it is missing.
	PutDocument(ctx context.Context, doc oci.Document, tags ...string) (oci.Accepted, error)
}
