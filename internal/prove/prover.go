package prove

import (
	"context"
	"sync"

	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/plan"

	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Prover checks the content below names: manifests, and the configs and layers that they refer to.
type Prover struct {
	Base *place.Base

	Depth  report.Depth // Deep or Rehash
	Sample int          // percentage of the blobs to read; 0 means all
	Heal   bool         // send what is missing, and check it again

	Referrers plan.Referrers // which referrers are looked for

	Begin func() *place.Session            // opens a new session for both sides
	Note  func(format string, args ...any) // gets messages for the user
	Moved func(oci.Blobs)                  // gets the number of blobs that a repair sent

	// Turn waits for a free place for one image to repair, as apply.Run.Turn does.
	Turn func(context.Context) (end func(), ok bool)
}

// Looking is one target repository: the names that were compared, and the result of the check below
// them.
type Looking struct {
	To      ref.Repo
	From    []ref.Repo
	Entries []report.Comparison
	Looked  report.Looked
}

// deepCheck holds what was found below the names of one target repository. A document or blob that
// several names share is checked once.
type deepCheck struct {
	*Prover
	at   place.Repository
	seek *referrers.Finder
	lost map[oci.Digest]bool // referrers that the target refused in an earlier run; nil to look for them, too
	back *transfer.Back

	mu     sync.Mutex
	docs   map[oci.Digest]*checkedDocument
	blobs  map[oci.Digest]*checkedBlob
	looked report.Looked
}

// part says which part of an image counts.
type part struct {
	docs   *transfer.Documents
	origin oci.Digest // the image at the source
	trim   plan.Trim
}

// partOf returns the part of the image of e that counts; nil means all of it.
func partOf(docs *transfer.Documents, e report.Comparison) *part {
	if !e.Trim.Partial() {
		return nil
	}
	return &part{docs, e.Origin, e.Trim}
}

// document returns what the target should have, as the source says.
func (p *part) document(ctx context.Context, from place.Repository) (oci.Document, error) {
	return trim.Document(ctx, p.docs, from, p.origin, p.trim)
}

// checkedDocument is one document at the target, with its references.
type checkedDocument struct {
	part      *part // what of an image counts; nil means all of it
	what      string
	desc      oci.Descriptor
	from      place.Repository // a source that has the document
	documents []oci.Descriptor
	blobs     []oci.Descriptor
	config    oci.Digest
	referrers []plan.Referrer
	lacks     []report.Lack
	astray    []report.Lack // referrers that the target does not list, or not under their digest tag
	gone      bool          // neither side has the document
	err       error
}

// checkedBlob is one blob at the target.
type checkedBlob struct {
	desc oci.Descriptor
	why  string // "missing" or "corrupt"; "" if the blob is as it should be
	err  error
}
