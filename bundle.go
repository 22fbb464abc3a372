package dray

import (
	"context"
	"io"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/bundle"
	"github.com/drayage/dray/internal/migrate"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/stock"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/plan"
)

// BundleRequest asks to make a bundle: files that carry images to a receiver that no network reaches.
type BundleRequest struct {
	// Batch.Entries or Transfer.Sources name the images, with everything that these requests select, rename and
	// check. The names at the target are paths: a receiver chooses the registry. Batch.Target,
	// Transfer.Target and Transfer.Also are ignored, and so are the logins at the target. An Overwrite that
	// is not set means plan.Update.
	Batch    BatchRequest
	Transfer TransferRequest

	// Since are files of lists of what the receiver has, which HaveList or LoadBundle wrote, the latest
	// last. The bundle has only what is not listed. "-" is read from Stdin.
	Since []string
	Stdin io.Reader

	// To is the file of the bundle, such as "images.tar", or a directory if it ends with a slash. It must
	// not exist.
	To string

	// Split is the maximum size in bytes of a file. If it is not 0, the files are "images.1.tar",
	// "images.2.tar" and so on. It is [fault.TooLarge] if a blob does not fit in a file.
	Split int64

	// Only are numbers of files of an existing bundle that are made again, as they were. Then all other
	// fields but To, Batch.SourceLogin and Batch.Gate are ignored.
	Only []int

	Made time.Time // the current time, for the bundle
}

// CreateBundle makes a bundle. It first copies all content into the directory To + ".partial", and removes
// that when the files are written. If CreateBundle is interrupted, or if an image fails, the directory stays,
// and the same request again continues there.
//
// It calls visit as Transfer does. The Host of the names in these reports is ref.Bundle; as text, they are
// "bundle:PATH:TAG". The Bundle of the result says what was written. The error is that of the first step that
// failed; no bundle is written then.
func (d *Dray) CreateBundle(
	ctx context.Context, req BundleRequest, obs event.Observer, visit func(RepositoryReport) error,
) (TransferReport, error) {
	if len(req.Only) > 0 {
		return bundle.Remake(ctx, d.base, d.names, bundle.RemakeRequest{
			To: req.To, Only: req.Only, SourceLogin: req.Batch.SourceLogin, Gate: req.Batch.Gate,
		}, obs, visit)
	}
	return bundle.Create(ctx, d.base, d.names, d.bundled(req), obs, visit)
}

// PlanBundle finds out what CreateBundle would do, and calls visit with what each repository of the bundle would get.
// The Bundle of the result has the exact sizes of the files. It reads all manifests and no layer, and it writes
// nothing except temporary files. BundleRequest.Only is ignored.
func (d *Dray) PlanBundle(
	ctx context.Context, req BundleRequest, obs event.Observer, visit func(RepositoryPlan) error,
) (TransferReport, error) {
	return bundle.Plan(ctx, d.base, d.names, d.bundled(req), obs, visit)
}

// bundled returns the request for what is put into a bundle.
func (d *Dray) bundled(req BundleRequest) bundle.CreateRequest {
	req.Transfer.Referrers, req.Transfer.Platforms = d.Choices(req.Transfer.Referrers, req.Transfer.Platforms)
	create := bundle.CreateRequest{
		Transfer:    migrate.Request(req.Transfer),
		ListProof:   req.Batch.Proof,
		SourceLogin: req.Batch.SourceLogin,
		Gate:        req.Batch.Gate,
		Since:       req.Since,
		Stdin:       req.Stdin,
		To:          req.To,
		Split:       req.Split,
		Made:        req.Made,
	}
	if len(req.Batch.Entries) > 0 {
		create.List = func(
			ctx context.Context, s *place.Session, names *name.Reader, target string,
		) (*survey.Draft, error) {
			list := req.Batch
			list.Target = target
			return d.draftBatch(ctx, s, names, list, plan.Update)
		}
	}
	return create
}

// VerifyBundle reads each byte of the files of a bundle, and compares it with what was written. paths are
// some or all of its files, and directories into which they were extracted. Bundle.Waiting are the numbers
// of the files that are not among them.
//
// The error is [fault.Corrupt] if anything is not as it was written. Bundle.Damages then says what.
func (d *Dray) VerifyBundle(ctx context.Context, paths []string, obs event.Observer) (Bundle, error) {
	return bundle.Verify(ctx, paths, obs)
}

// LoadRequest asks to load a bundle into a registry or a layout.
type LoadRequest struct {
	Paths     []string       // files of one bundle, in any order, and directories into which they were extracted
	Target    string         // "HOST", "HOST/PREFIX/", or "oci:DIR/" for a layout
	Overwrite plan.Overwrite // "" means plan.Update
	Backup    plan.Backup    // how to keep a tag that is overwritten; not with plan.Refuse

	// Receipt is the file for the list of what the receiver got, for BundleRequest.Since of the next
	// bundle. "" means the first of Paths with ".receipt".
	Receipt string

	// Gate decides which images may be loaded, after Config.Gate; nil admits all. It sees the signatures that
	// the bundle carries, and digest tags of the receiver that it leaves out. If it refuses one, nothing is written.
	Gate gate.Gate

	TargetLogin *credential.Login // nil means Config.Logins
	Now         time.Time         // the current time, for the receipt
}

// LoadBundle verifies the files as VerifyBundle does. If anything is damaged, it writes nothing. Otherwise it
// copies all content to the target, then sets the names, and then proves that the target has everything below
// them, also what the bundle left out. It calls visit as Transfer does.
//
// An image that needs a file that is not among Paths waits: its other blobs are sent. Bundle.Waiting of the
// result has the numbers of these files. The error is that of the first step that failed.
func (d *Dray) LoadBundle(
	ctx context.Context, req LoadRequest, obs event.Observer, visit func(RepositoryReport) error,
) (TransferReport, error) {
	return bundle.Load(ctx, d.base, d.names, bundle.LoadRequest(req), obs, visit)
}

// PlanLoad verifies a bundle as LoadBundle does, and calls visit with what LoadBundle would do in each repository. It
// writes nothing.
func (d *Dray) PlanLoad(
	ctx context.Context, req LoadRequest, obs event.Observer, visit func(RepositoryPlan) error,
) (TransferReport, error) {
	return bundle.PlanLoad(ctx, d.base, d.names, bundle.LoadRequest(req), obs, visit)
}

// HaveRequest asks for a list of what a receiver has.
type HaveRequest struct {
	Target string            // "HOST" or "HOST/PREFIX/", as in the LoadRequest
	Login  *credential.Login // nil means Config.Logins
	Now    time.Time         // the current time, for the list
}

// HaveList lists all tags of a receiver, what refers to them without a tag, and the blobs below all that. It writes
// the list to w, for BundleRequest.Since. It reads each manifest once. A million blobs take 36 MB.
func (d *Dray) HaveList(ctx context.Context, req HaveRequest, obs event.Observer, w io.Writer) (Have, error) {
	return stock.List(ctx, d.base, d.names, stock.Request(req), obs, w)
}
