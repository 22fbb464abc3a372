package conform

import (
	"context"
	"testing"

	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
)

// Pair is one repository, to read from and to write to.
type Pair struct {
	Source transfer.Source
	Target transfer.Target

	// List lists the tags, if the repository can do that; else nil.
	List func(ctx context.Context, visit func(oci.Listed) error) error
}

// check is one behaviour, shown on a repository of its own.
type check struct {
	name string
	run  func(t *testing.T, p Pair)
}

// Suite says what is held to the checks. Only Open has to be set.
type Suite struct {
	// Open returns an empty, writable repository that no other check uses.
	Open func(t *testing.T) Pair

	// NoReferrers leaves out that a document is found by its subject, for
	// registries that have neither the API nor anybody who writes the fallback tag.
	NoReferrers bool
}
