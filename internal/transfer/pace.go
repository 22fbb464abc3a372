package transfer

import (
	"cmp"
	"context"
	"io"

	"github.com/drayage/dray/oci"
	"golang.org/x/time/rate"
)

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
