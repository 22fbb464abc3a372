package place

import (
	"context"
	"fmt"
	"io"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ends"
	"github.com/drayage/dray/internal/foreign"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Repository is a repository anywhere. It can be the source and the target of a transfer, and its
// tags can be listed.
type Repository interface {
	transfer.Source
	transfer.Target
	List(ctx context.Context, visit func(oci.Listed) error) error
}

// carrier is a repository with its foreign layers.
type carrier struct {
	Repository
	with foreign.Source
}

// Document is that of the repository, with foreign layers among its blobs.
func (c carrier) Document(ctx context.Context, reference string) (oci.Document, error) {
	return c.with.Document(ctx, reference)
}

// Blob reads foreign layers from their publishers if the repository does not have them.
func (c carrier) Blob(ctx context.Context, d oci.Descriptor, at, n int64) (io.ReadCloser, int64, error) {
	return c.with.Blob(ctx, d, at, n)
}

// Local is a registry inside this process. Its methods are safe for concurrent use. Their errors
// are *fault.Fault without a Side.
type Local interface {
	// Open opens a repository, which does not have to exist yet.
	Open(repo ref.Repo) (LocalRepository, error)
	// Repositories calls visit with the path of each repository. If visit returns an error,
	// Repositories stops and returns that error.
	Repositories(ctx context.Context, visit func(path string) error) error
}

// LocalRepository is one repository of a Local.
type LocalRepository interface {
	transfer.Source
	transfer.Target

	// List calls visit with each tag and its digest. If visit returns an error, List stops and
	// returns that error. The error is NotFound if the repository does not exist.
	List(ctx context.Context, visit func(oci.Listed) error) error
	// Digests lists the manifests and indexes, tagged or not.
	Digests(ctx context.Context) ([]oci.Digest, error)
	// Delete removes a tag and nothing else, if reference is a tag. If reference is a digest, it
	// removes the manifest and its tags.
	Delete(ctx context.Context, reference string, tags ...string) error
}

// Absent reports whether repo is an end on disk that does not exist yet. Such an end holds nothing,
// and looking at it must not create it. The standard output holds nothing either.
func Absent(repo ref.Repo) bool { return repo.IsLayout() && ends.IsEmpty(repo) }

// maxConfig is the largest image configuration that is read into memory: 8 MiB.
const maxConfig = 8 << 20

// ReadSmall reads a blob of at most 8 MiB into memory and verifies its size and digest.
func ReadSmall(ctx context.Context, at Repository, d oci.Descriptor) ([]byte, error) {
	if d.Size > maxConfig {
		return nil, &fault.Fault{
			Kind: fault.TooLarge,
			Op:   "read image config",
			Name: at.Repo().At(string(d.Digest)).String(),
			Err:  fmt.Errorf("%d bytes; the limit is %d", d.Size, maxConfig),
		}
	}
	body, _, err := at.Blob(ctx, d, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return oci.ReadAll(body, d)
}
