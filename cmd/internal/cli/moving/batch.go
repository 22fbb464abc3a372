package moving

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// batchFlags holds the flags of dray batch.
type batchFlags struct {
	name      string
	failedTo  string
	force     bool
	dryRun    bool
	platforms flag.Platforms
	referrers flag.Referrers
	flag.List
	flag.Tags          // only its --all-or-nothing is a flag of batch
	gates     []string // the values of --verify-signature
}

// NewBatch makes the command dray batch.
func NewBatch(a *app.App) *cobra.Command {
	var f batchFlags
	cmd := &cobra.Command{
		Use:   "batch -f FILE [--name REGISTRY]",
		Short: "Import the images of a list, each on its own",
		Long: "Import every image of a list. A line of the list has a source and its targets, separated by " +
			"blanks. Blank lines and comments (#) are ignored.\n\n" +
			"A target without a registry is a path in the registry of --name. If a line has only a source, the " +
			"target is the source's own path in that registry, after --strip and --rewrite have changed it.\n\n" +
			"The list may also be YAML, with options for each image. An image that fails does not stop the others.",
		Example: "  dray batch --name prod -f images.txt\n" +
			"  dray batch --name prod -f images.txt --force --failed-to again.txt\n" +
			"  dray batch --name prod -f images.txt --strip docker.io/library/ \\\n" +
			"      --strip docker.io/ --strip mcr.microsoft.com/\n" +
			"  dray ls registry.example/app | dray batch --name prod -f - \\\n" +
			"      --rewrite 's|^registry.example/|mirror/|'",
		Args: flag.Exactly(0, "the list after -f"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runBatch(a, cmd, f) },
	}
	flags := cmd.Flags()
	f.AddFileTo(flags)
	flag.Group(flags, flag.TargetNames, func(set *pflag.FlagSet) {
		set.StringVarP(&f.name, "name", "n", "", flag.NamedRegistry("for targets without a registry, use this"))
	})
	f.AddPathsTo(flags)
	f.platforms.AddTo(flags, "import only")
	f.referrers.AddTo(flags)
	flag.AddForceTo(flags, &f.force)
	f.AddHoldTo(flags, "set no tag of the list unless all can be set (default each tag on its own)")
	flag.AddDryRunTo(flags, &f.dryRun)
	flag.AddGateTo(flags, &f.gates)
	flag.Group(flags, flag.Safety, func(set *pflag.FlagSet) {
		set.StringVar(&f.failedTo, "failed-to", "",
			"write the images that failed or were not begun to `FILE`, as a list for the next dray batch; "+
				"if there are none, FILE does not exist afterwards")
	})
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags, flag.Copies)
	a.Common.AddViaTo(flags)
	a.Common.AddUnseenTo(flags)
	return cmd
}

func runBatch(a *app.App, cmd *cobra.Command, f batchFlags) error {
	list, err := f.List.Read(cmd, a.IO.In)
	if err != nil {
		return err
	}
	if f.dryRun {
		noteUnwritten(a, f.failedTo)
		f.failedTo = ""
	}
	if err := run.CheckWritable(f.failedTo, f.List.File); err != nil {
		return err
	}
	req := dray.BatchRequest{List: list.Name, Target: cmp.Or(f.name, a.IO.Env("AZURE_DEFAULTS_ACR")), Hold: f.Hold()}
	req.SkipBroken = f.Skip
	if req.Platforms, err = f.platforms.Read(); err != nil {
		return err
	}
	if req.Referrers, err = f.referrers.Read(cmd); err != nil {
		return err
	}
	if f.force {
		req.Overwrite = plan.Update
	}
	if req.SourceLogin, err = a.SourceLogin(cmd.Context()); err != nil {
		return err
	}
	if req.TargetLogin, err = a.TargetLogin(cmd.Context()); err != nil {
		return err
	}
	for _, e := range list.Entries {
		if f.dryRun {
			break
		}
		if err := a.Yield(e.Targets...); err != nil {
			return err
		}
	}
	rest := &leftover{path: f.failedTo, list: list, target: req.Target,
		skips: f.Skip || req.Platforms.Lacks == plan.Optional}
	asked := func(ctx context.Context, d *dray.Dray) (dray.BatchRequest, error) {
		req := req
		entries, err := f.Entries(ctx, d, list)
		req.Entries, rest.entries = entries, entries
		return req, err
	}
	return run.Write(a, cmd, run.Writing{
		Past: "imported", Many: true, DryRun: f.dryRun, Instead: "use --force to replace it", Keep: rest.keep, Hold: req.Hold,
		Ask: ask.Gated(func(ctx context.Context, _ *client.Client, names ask.Names) (wire.Request, error) {
			d, err := names(ctx)
			if err != nil {
				return wire.Request{}, err
			}
			req, err := asked(ctx, d)
			return ask.Batch(req), err
		}, f.gates),
		Plan: func(ctx context.Context, d *dray.Dray, tell event.Observer) (p *dray.Prepared, err error) {
			req, err := asked(ctx, d)
			if err != nil {
				return nil, err
			}
			if req.Gate, err = a.Gate(f.gates); err != nil {
				return nil, err
			}
			return d.PlanBatch(ctx, req, tell)
		},
	})
}
