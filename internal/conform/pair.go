package conform

import (
	"context"
	"testing"

	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
)

// Pair is one repository to read from and to write to.
type Pair struct {
	Source transfer.Source
	Target transfer.Target

	// List lists the tags. It is nil if the repository cannot list them.
	List func(ctx context.Context, visit func(oci.Listed) error) error
}

// check is one behavior. Each check runs on its own repository.
type check struct {
	name string
	run  func(t *testing.T, p Pair)
}

// Suite says what the checks run on.
type Suite struct {
	// Open returns an empty, writable repository that no other check uses.
	Open func(t *testing.T) Pair
}
