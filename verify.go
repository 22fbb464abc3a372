package dray

import (
	"context"
	"iter"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/migrate"
)

// VerifyRequest asks whether targets hold what a copy or a transfer should have copied.
type VerifyRequest struct {
	// Of names the transfer whose sources and targets are compared. Its Overwrite, Delay and Proof
	// are ignored. Its only Source may also be an image, "HOST/REPO:TAG" or "HOST/REPO@DIGEST"; a
	// Target without a tag then has the same tag or digest. A source or a target may also be a layout:
	// "oci:DIR" with all its tags, or "oci:DIR:TAG".
	Of TransferRequest

	Depth Depth // "" means Digests

	// Sample says, with Rehash, how many of 100 blobs are read; 0 means all. The digest of a blob
	// decides whether it is read, so that every run reads the same blobs.
	Sample int

	// Heal repairs what is incomplete or corrupt: it sends the content that is missing, sets no name,
	// and then compares again. It does not repair names that differ or are missing; use a transfer for
	// them. It needs the Depth Deep or Rehash, and a login that may write.
	Heal bool

	By   string    // the person or account that asks, for the receipt
	Tool string    // the program that asks, with its version, for the receipt
	When time.Time // the current time, for the receipt
}

// Verify compares targets with their sources. It calls visit with each name, repository by repository in
// the order of their names. If visit returns an error, Verify stops and returns it. Unless req.Heal is
// set, Verify writes nothing and needs only a login that may read.
//
// The receipt says what Verify found. A difference is not an error: see [report.Receipt.Right]. The
// error is that of the first name that could not be compared, or nil if all could; the receipt is
// complete in both cases. Only if a list of repositories cannot be read, Verify ends with an error. It
// never treats such a list as an empty one.
func (d *Dray) Verify(
	ctx context.Context, req VerifyRequest, obs event.Observer, visit func(VerifyEntry) error,
) (Receipt, error) {
	req.Of.Referrers, req.Of.Platforms = d.Choices(req.Of.Referrers, req.Of.Platforms)
	return migrate.Verify(ctx, d.base, d.names, req.inside(), obs, visit)
}

// SplitVerify divides a verification as [Dray.SplitTransfer] divides a transfer. The parts are for req.Of.Part. The
// receipt is the first one for [Dray.SumVerify]. A verification of a single image, or with an end on disk, gets a single
// part with [Part.Whole].
func (d *Dray) SplitVerify(ctx context.Context, req VerifyRequest, obs event.Observer) ([]Part, Receipt, error) {
	req.Of.Referrers, req.Of.Platforms = d.Choices(req.Of.Referrers, req.Of.Platforms)
	return migrate.SplitVerify(ctx, d.base, d.names, req.inside(), obs)
}

// SumVerify adds up the receipts of a divided verification: first that of [Dray.SplitVerify], then those of the parts, in
// any order. The sum is that of one [Dray.Verify], with the same Digest. It makes no requests. Errors are like those of
// [Dray.SumTransfer].
func (d *Dray) SumVerify(req VerifyRequest, receipts iter.Seq2[Receipt, error]) (Receipt, error) {
	return migrate.SumVerify(d.base, d.names, req.inside(), receipts)
}

func (req VerifyRequest) inside() migrate.VerifyRequest {
	return migrate.VerifyRequest{
		Of:     migrate.Request(req.Of),
		Depth:  req.Depth,
		Sample: req.Sample,
		Heal:   req.Heal,
		By:     req.By,
		Tool:   req.Tool,
		When:   req.When,
	}
}
