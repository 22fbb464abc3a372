package transfer

import (
	"cmp"
	"context"
	"errors"
	"io"

	"golang.org/x/time/rate"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/room"
	"github.com/drayage/dray/internal/transfer/fetch"
	"github.com/drayage/dray/oci"
)

// Options limit the work of an Engine. A zero value means the default named here.
type Options struct {
	// Blobs is the number of blobs in flight at once, over all copies; default 32. In
	// addition there are half as many places for small blobs (see fetch.SmallBlob), and a
	// quarter as many for Ends that are slower than the others of their copy.
	Blobs int

	// Requests is the number of documents in flight at once, read or written, over all copies;
	// default 16.
	Requests int

	// Retries is how often a download is tried again without receiving a byte; default 8.
	Retries int

	// Ahead is the memory in bytes, over all copies, for bytes that were read before the target
	// can take them: parts of blobs that are read over several connections. Default 64 MiB. With
	// less than 3 MiB, every blob is read over a single connection.
	Ahead int64

	// Documents is the memory in bytes, over all copies, for the manifests of the images that are copied at
	// the same time. A copy waits until there is room for its own. A single image may have more, up to
	// oci.MaxImage. Default 64 MiB.
	Documents int64

	// Bandwidth limits the bytes/s of blobs that all copies together send to their targets; 0
	// means no limit. Downloads are ahead of the uploads by at most Ahead bytes.
	Bandwidth int64
}

// Engine copies images. A process uses one Engine, so that its limits hold across concurrent
// copies. Its methods are safe for concurrent use.
type Engine struct {
	fetch     *fetch.Fetcher
	requests  chan struct{}
	documents *room.Room
	flights   flights
	limit     *rate.Limiter // nil means no limit
}

// New returns an Engine with the limits of o.
func New(o Options) *Engine {
	if o.Blobs == 0 {
		o.Blobs = 32
	}
	if o.Requests == 0 {
		o.Requests = 16
	}
	if o.Retries == 0 {
		o.Retries = 8
	}
	if o.Ahead == 0 {
		o.Ahead = 64 << 20
	}
	if o.Documents == 0 {
		o.Documents = 64 << 20
	}
	e := &Engine{
		fetch:     fetch.New(o.Retries, o.Blobs, o.Ahead),
		requests:  make(chan struct{}, o.Requests),
		documents: room.New(o.Documents),
	}
	if o.Bandwidth > 0 {
		e.limit = rate.NewLimiter(rate.Limit(o.Bandwidth), burstOf(o.Bandwidth))
	}
	return e
}

// blobs is the gate that limits the blobs in flight.
func (e *Engine) blobs(ctx context.Context, b oci.Descriptor) (leave func(), ok bool) {
	return e.fetch.Places.Enter(ctx, b.Size)
}

// burstOf returns how many bytes may pass at once: the bytes of a twentieth of a second, but at
// least 16 KiB, because smaller reads are wasteful, and at most 4 MiB.
func burstOf(perSecond int64) int { return int(min(max(perSecond/20, 16<<10), 4<<20)) }

// settle converts every error that an ended context can cause to one of the Kind Canceled.
func settle(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if fault.Is(err, fault.Canceled) {
		return err
	}
	return &fault.Fault{Kind: fault.Canceled, Op: "copy", Err: context.Canceled}
}

// paced returns open with its bodies slowed down to Options.Bandwidth.
func (e *Engine) paced(open oci.Opener) oci.Opener {
	if e.limit == nil {
		return open
	}
	return func(ctx context.Context, at int64) (io.ReadCloser, error) {
		body, err := open(ctx, at)
		if err != nil {
			return nil, err
		}
		return &paced{ReadCloser: body, ctx: ctx, limit: e.limit}, nil
	}
}

type paced struct {
	io.ReadCloser
	ctx   context.Context
	limit *rate.Limiter
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b[:min(len(b), p.limit.Burst())])
	if n > 0 {
		if waited := p.limit.WaitN(p.ctx, n); waited != nil {
			return 0, cmp.Or(context.Cause(p.ctx), waited)
		}
	}
	return n, err
}
