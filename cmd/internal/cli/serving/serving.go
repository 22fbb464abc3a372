// Package serving does what dray's commands of a server ask for: it makes a server, or opens what
// one keeps, from what package cli read of flags, configuration and environment. Only drayd links it.
package serving

import (
	"context"

	"github.com/drayage/dray/cmd/internal/cli"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/internal/registry"
)

// New is all of it.
func New() *cli.Serving {
	return &cli.Serving{
		Serve:   func(ctx context.Context, s cli.Setup) error { return run(ctx, s, server.Run) },
		Work:    func(ctx context.Context, s cli.Setup) error { return run(ctx, s, server.Worker) },
		Check:   check,
		Office:  openOffice,
		Collect: collect,
		Backup: func(ctx context.Context, s cli.Setup, to string) (wire.Saved, error) {
			return keep(ctx, s, to, server.Backup)
		},
		Restore: func(ctx context.Context, s cli.Setup, from string) (wire.Saved, error) {
			return keep(ctx, s, from, server.Restore)
		},
	}
}

func run(ctx context.Context, s cli.Setup, do func(context.Context, server.Config) error) error {
	c, err := configOf(s)
	if err != nil {
		return err
	}
	return do(ctx, c)
}

func check(ctx context.Context, s cli.Setup) ([]wire.Finding, error) {
	c, err := configOf(s)
	if err != nil {
		return nil, err
	}
	return server.Check(ctx, c), nil
}

func keep(ctx context.Context, s cli.Setup, dir string, do func(context.Context, server.Config, string) (wire.Saved, error)) (wire.Saved, error) {
	c, err := configOf(s)
	if err != nil {
		return wire.Saved{}, err
	}
	return do(ctx, c, dir)
}

func collect(ctx context.Context, s cli.Setup, o cli.Sweep) (wire.Collected, error) {
	c, err := configOf(s)
	if err != nil {
		return wire.Collected{}, err
	}
	sum, err := registry.Collect(ctx, c.Data, registry.CollectOptions{Storage: c.Storage, Untagged: o.Untagged, DryRun: o.DryRun, Keep: o.Keep, Log: c.Log})
	return wire.Collected(sum), err
}
