package storm

import (
	"context"

	"github.com/drayage/dray"
)

// The ends of a transfer.
const (
	transferSource = "src/team/"
	transferTarget = "dst"
)

// Do does a work with package dray. The traffic is nil if the work failed before anything was copied.
func Do(ctx context.Context, d *dray.Dray, w Work) (traffic map[string]dray.Traffic, err error) {
	if w == Transfer || w == Job {
		rep, err := d.Transfer(ctx, dray.TransferRequest{Sources: []string{transferSource}, Target: transferTarget}, nil,
			func(dray.RepositoryReport) error { return nil })
		return rep.Traffic, err
	}
	name := names(w)[0]
	p, err := d.PlanCopy(ctx, dray.CopyRequest{Source: "src/" + name, Targets: []string{"dst/" + name}}, nil)
	if err != nil {
		return nil, err
	}
	rep, err := d.Apply(ctx, p, nil)
	return rep.Traffic, err
}
