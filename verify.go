package dray

import (
	"context"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/migrate"
)

// VerifyRequest asks whether targets hold what a copy or a transfer should have brought.
type VerifyRequest struct {
	// Of says what is compared with what, as the transfer of it does; its Overwrite, Delay
	// and Proof do not count. Beside what a transfer takes, its one Source may be an image,
	// "HOST/REPO:TAG" or "HOST/REPO@DIGEST", whose Target without a tag has the same, and
	// either end may be a layout, "oci:DIR" with all its tags or "oci:DIR:TAG".
	Of TransferRequest

	Depth  Depth // "" is Digests
	Sample int   // with Rehash: of 100 blobs, how many are read. Which is told by their digests; 0 is all

	// Heal repairs what is found incomplete or corrupt: only what is lacking is sent, no name
	// is set, and the result is looked at again. Names that differ or are missing are left
	// to a transfer. It needs a Depth beyond Digests, and a login that may write.
	Heal bool

	By   string    // who asks, for the receipt
	Tool string    // what asks, with its version, for the receipt
	When time.Time // for the receipt; the caller's clock
}

// Verify compares targets with their sources and calls visit with each name, repository by
// repository in the order of their names, until visit returns an error, and returns that.
// Nothing is written unless req.Heal says so. A login that may read is enough then.
//
// What it finds is in the Receipt. The error is nil when all could be compared, whatever
// came of it, else that of the first that could not; the Receipt is complete all the same.
// Only a list of repositories that could not be read ends the whole, and none that could
// not be read is taken for an empty one.
func (d *Dray) Verify(ctx context.Context, req VerifyRequest, obs event.Observer, visit func(VerifyEntry) error) (Receipt, error) {
	return migrate.Verify(ctx, d.base, d.names, migrate.VerifyRequest{Of: migrate.Request(req.Of), Depth: req.Depth, Sample: req.Sample, Heal: req.Heal,
		By: req.By, Tool: req.Tool, When: req.When}, obs, visit)
}
