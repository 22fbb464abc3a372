package transfer

import (
	"cmp"
	"context"
	"errors"
	"io"

	"golang.org/x/time/rate"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/transfer/fetch"
	"github.com/drayage/dray/oci"
)

// Options bound an Engine. Zero values take the defaults named here.
type Options struct {
	Blobs    int // blobs in flight at once over all copies; default 32. Beside them go half as many small ones, and a quarter as many of ends that are slower than others
	Requests int // documents in flight at once, reading and writing each; default 16
	Retries  int // tries of one download without a byte of progress in between; default 8

	// Ahead is the memory in bytes, over all copies, for what is read of a blob before
	// it can be handed on: over several connections at once. Default 64 MiB; with less
	// than 3 MiB every blob is read over one.
	Ahead int64

	// Bandwidth caps the bytes/s of blobs that all copies together hand to their
	// targets; 0 is no cap. What is read does not run ahead of that by more than Ahead.
	Bandwidth int64
}

// Engine copies images. One Engine serves a whole process, so that its limits hold
// across concurrent copies. Its methods are safe for concurrent use.
type Engine struct {
	fetch    *fetch.Fetcher
	requests chan struct{}
	flights  flights
	limit    *rate.Limiter // nil is none
}

// New returns an Engine bounded by o.
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
	e := &Engine{fetch: fetch.New(o.Retries, o.Blobs, o.Ahead), requests: make(chan struct{}, o.Requests)}
	if o.Bandwidth > 0 {
		e.limit = rate.NewLimiter(rate.Limit(o.Bandwidth), burstOf(o.Bandwidth))
	}
	return e
}

// blobs is the gate for work on one blob.
func (e *Engine) blobs(ctx context.Context, b oci.Descriptor) (leave func(), ok bool) {
	return e.fetch.Places.Enter(ctx, b.Size)
}

// burstOf is how many bytes may pass at once: a twentieth of a second's, and no less
// than what makes sense to read at a time.
func burstOf(perSecond int64) int { return int(min(max(perSecond/20, 16<<10), 4<<20)) }

// settle turns the many ways in which an ended context shows into one.
func settle(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if fault.Is(err, fault.Canceled) {
		return err
	}
	return &fault.Fault{Kind: fault.Canceled, Op: "copy", Err: context.Canceled}
}

// paced hands no more to a target than Options.Bandwidth.
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
