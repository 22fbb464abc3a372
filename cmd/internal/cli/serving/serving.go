package serving

import (
	"context"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/internal/registry"
)

// New returns all functions of a server.
func New() *app.Serving {
	return &app.Serving{
		Serve:   func(ctx context.Context, s app.Setup) error { return run(ctx, s, server.Run) },
		Work:    func(ctx context.Context, s app.Setup) error { return run(ctx, s, server.Worker) },
		Check:   check,
		Office:  opening(server.OpenAccess),
		Begin:   opening(server.BeginAccess),
		Collect: collect,
		Backup: func(ctx context.Context, s app.Setup, to string) (wire.Saved, error) {
			return keep(ctx, s, to, server.Backup)
		},
		Restore: func(ctx context.Context, s app.Setup, from string) (wire.Saved, error) {
			return keep(ctx, s, from, server.Restore)
		},
	}
}

func run(ctx context.Context, s app.Setup, do func(context.Context, server.Config) error) error {
	c, err := configOf(s)
	if err != nil {
		return err
	}
	gather(c.Log)
	return do(ctx, c)
}

func check(ctx context.Context, s app.Setup) ([]wire.Finding, error) {
	c, err := configOf(s)
	if err != nil {
		return nil, err
	}
	return server.Check(ctx, c), nil
}

func keep(
	ctx context.Context, s app.Setup, dir string, do func(context.Context, server.Config, string) (wire.Saved, error),
) (wire.Saved, error) {
	c, err := configOf(s)
	if err != nil {
		return wire.Saved{}, err
	}
	return do(ctx, c, dir)
}

func collect(ctx context.Context, s app.Setup, o app.Sweep) (wire.Collected, error) {
	c, err := configOf(s)
	if err != nil {
		return wire.Collected{}, err
	}
	sum, err := server.Collect(ctx, c, registry.CollectOptions{
		Untagged: o.Untagged,
		DryRun:   o.DryRun,
		Keep:     o.Keep,
	})
	return wire.Collected(sum), err
}
