package prove

import (
	"sync"

	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Prover looks below names: at the manifests, and at the configs and layers that these need.
type Prover struct {
	Base *place.Base

	Depth  report.Depth // Deep or Rehash
	Sample int          // of 100 blobs, how many are read; 0 is all
	Heal   bool         // what is lacking is sent, and looked at again

	Begin  func() *place.Session            // opens both ends anew
	Note   func(format string, args ...any) // told what a person should know
	Moved  func(oci.Blobs)                  // told what a repair sent
	Shared *place.Sharing
}

// Looking is one target repository: names that were compared, and what came of looking below them.
type Looking struct {
	To      ref.Repo
	From    []ref.Repo
	Entries []report.Comparison
	Looked  report.Looked
}

// deep is what was seen below the names of one target repository: each document and each
// blob once, whatever shares it.
type deep struct {
	*Prover
	session *place.Session
	at      place.Repository
	back    *transfer.Back

	mu     sync.Mutex
	docs   map[oci.Digest]*sighted
	blobs  map[oci.Digest]*probed
	looked report.Looked
}

// sighted is one document at the target, and what it needs.
type sighted struct {
	what      string
	desc      oci.Descriptor
	from      place.Repository // a source that has it
	documents []oci.Descriptor
	blobs     []oci.Descriptor
	config    oci.Digest
	referrers []oci.Descriptor
	lacks     []report.Lack
	err       error
}

// probed is one blob at the target.
type probed struct {
	desc oci.Descriptor
	why  string // what is wrong with it; "" is nothing
	err  error
}
