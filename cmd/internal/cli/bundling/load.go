package bundling

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// loadFlags holds the flags of dray bundle load.
type loadFlags struct {
	receipt   string
	backup    string
	overwrite flag.Overwrite
	gates     []string // the values of --verify-signature
	dryRun    bool
}

func newLoad(a *app.App) *cobra.Command {
	f := loadFlags{overwrite: flag.Overwrite(plan.Update)}
	cmd := &cobra.Command{
		Use:   "load FILE... TARGET",
		Short: "Copy the images of a bundle into a registry, or into a layout",
		Long: "Verify the files of a bundle, and copy their images to TARGET, which is HOST, HOST/PREFIX/, or " +
			"oci:DIR/ for a layout. If anything is damaged, dray writes nothing.\n\n" +
			"dray copies all content first, then sets the tags, and then proves that TARGET has everything below them, " +
			"also what the bundle left out because TARGET had it. It writes a receipt, from which the sender makes the " +
			"next bundle.\n\n" +
			"The files of a bundle can be loaded together or one after the other, in any order. An image that " +
			"needs a file which is not there waits, and the exit code is 6. To try again, run the same command; what " +
			"TARGET has is not sent again.",
		Example: "  dray bundle load images.tar inside.example\n" +
			"  dray bundle load all.*.tar inside.example/mirror/ --receipt receipt\n" +
			"  dray bundle load /srv/extracted inside.example",
		Args: flag.AtLeast(2, "the files of the bundle, then the target"),
		RunE: func(cmd *cobra.Command, args []string) error { return runLoad(a, cmd, f, args) },
	}
	flags := cmd.Flags()
	flag.Group(flags, flag.Safety, func(set *pflag.FlagSet) {
		set.StringVar(&f.receipt, "receipt", "", "write the receipt to `FILE` (default the first file with .receipt)")
		set.BoolVar(&f.dryRun, "dry-run", false, "verify the files, print what would be done and write nothing")
	})
	flag.AddOverwriteTo(flags, &f.overwrite)
	flag.AddBackupTo(flags, &f.backup)
	flag.AddGateTo(flags, &f.gates)
	a.Common.AddRegistryTo(flags, flag.AtTarget|flag.ReadsBlobs|flag.SendsBlobs)
	return cmd
}

func runLoad(a *app.App, cmd *cobra.Command, f loadFlags, args []string) error {
	if f.backup != "" && f.overwrite == flag.Overwrite(plan.Refuse) {
		return flag.UsageError(cmd, errors.New("--backup with --overwrite refuse: no tag is overwritten"),
			"leave one of them out")
	}
	if f.receipt == "-" {
		return flag.UsageError(cmd, errors.New("--receipt -: the standard output has the names that were loaded"),
			"name a file")
	}
	now := time.Now()
	files, target := args[:len(args)-1], args[len(args)-1]
	req := dray.LoadRequest{
		Paths: files, Target: target, Overwrite: plan.Overwrite(f.overwrite), Receipt: f.receipt, Now: now,
	}
	var err error
	if req.Backup, err = flag.BackupOf(f.backup, now); err != nil {
		return err
	}
	if req.Gate, err = a.Gate(f.gates); err != nil {
		return err
	}
	if req.TargetLogin, err = a.TargetLogin(cmd.Context()); err != nil {
		return err
	}
	var bundle *dray.Bundle
	err = run.StreamHere(a, cmd, run.Streaming{
		Past: "loaded", Verb: "load", Overwrite: req.Overwrite, Backup: req.Backup, Hold: plan.All, DryRun: f.dryRun,
		Plan: func(
			ctx context.Context, d *dray.Dray, tell event.Observer, _ *out.Story, visit func(dray.RepositoryPlan) error,
		) (dray.TransferReport, error) {
			sum, err := d.PlanLoad(ctx, req, tell, visit)
			bundle = sum.Bundle
			return sum, err
		},
		Run: func(
			ctx context.Context, d *dray.Dray, tell event.Observer, _ *out.Story, visit func(dray.RepositoryReport) error,
		) (dray.TransferReport, error) {
			sum, err := d.LoadBundle(ctx, req, tell, visit)
			bundle = sum.Bundle
			return sum, err
		},
	})
	if bundle == nil {
		return err
	}
	sayLoaded(a, bundle)
	if err == nil && len(bundle.Waiting) > 0 {
		return out.Ended(out.ExitPartly)
	}
	return err
}
