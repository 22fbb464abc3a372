package moving

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// transferFlags are those of transfer: dray's own, and all of acr_transfer.py's.
type transferFlags struct {
	sourceName, targetName string
	flag.Ends

	overwrite flag.Overwrite
	force     bool
	backup    string
	locks     bool
	mend      bool    // --heal
	changed   bool    // --incremental
	readBack  bool    // --rehash
	delay     float64 // seconds
	parallel  int
	dryRun    bool
	failedTo  string
}

// NewTransfer makes dray transfer.
func NewTransfer(a *app.App) *cobra.Command {
	f := transferFlags{overwrite: flag.Overwrite(plan.Update)}
	cmd := &cobra.Command{
		Use:   "transfer SOURCE... TARGET",
		Short: "Bring what registries hold to another one, by digest",
		Long: "Bring all tags of one or more registries to another one, as far as they are missing there or\n" +
			"hold something else; what is equal is not touched. An end is a registry (HOST or a configured\n" +
			"name), what is below a prefix of it (HOST/PREFIX/), or one repository; or image layouts on disk,\n" +
			"one (oci:DIR) or those below a directory (oci:DIR/). Each tag stands for itself: one that fails\n" +
			"stops nothing else, and the same command goes on with what is left.\n" +
			"The flags of acr_transfer.py mean here what they mean there.",
		Example: "  dray transfer dev prod --dry-run\n" +
			"  dray transfer dev oci:/media/stick/ && dray transfer oci:/media/stick/ prod\n" +
			"  dray transfer dev.example/team/ prod.example/mirror/ --latest 10 --exclude-tags '*-rc*'\n" +
			"  dray transfer old1 old2 new --prefer old2 --failed-to again.txt\n" +
			"  dray transfer --source-registry-name dev --target-registry-name prod --letters a-c,e --max-repositories 10",
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("source-registry-name") || cmd.Flags().Changed("target-registry-name") {
				return flag.Exactly(0, "the registries by their flags, or as arguments")(cmd, args)
			}
			return flag.AtLeast(2, "SOURCE... TARGET")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runTransfer(a, cmd, f, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.AddSelectionTo(flags)
	f.AddMappingTo(flags)
	flags.StringArrayVar(&f.Prefer, "prefer", nil, "where sources differ about a tag take this `SOURCE`'s; repeatable, the first counts most (default a conflict about that tag)")
	flags.Var(&f.overwrite, "overwrite", "what to do where a target tag holds something else; always puts equal ones again too")
	flags.BoolVar(&f.force, "force", false, "the same as --overwrite always: put every selected tag again, and prove that its content is there")
	flag.AddBackupTo(flags, &f.backup)
	flags.BoolVar(&f.locks, "copy-locks", false, "lock at TARGET what is locked on tags at SOURCE, once they are set; between Azure's registries")
	flags.BoolVar(&f.changed, "incremental", false, "list only tags set since all was brought last, where the source lists by time (Azure's do); all of it once a week")
	flags.BoolVar(&f.mend, "heal", false, "look below tags that are right too, as dray verify --deep does, and send what is lacking there")
	flags.BoolVar(&f.readBack, "rehash", false, "with --force: read each config and layer at TARGET too, and send those again whose bytes differ")
	flags.Float64Var(&f.delay, "delay-seconds", 0, "rest for `S` seconds after each image")
	flags.IntVar(&f.parallel, "parallel-imports", 0, "`N` images in flight (default 32)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done, write nothing")
	flags.BoolVar(&f.Explain, "explain", false, "tell on stderr for each repository and tag which rule kept or dropped it")
	flags.StringVar(&f.failedTo, "failed-to", "", "write the tags that failed to `FILE`, a list for dray batch --force; without such, there is no file")
	flags.StringVar(&f.sourceName, "source-registry-name", "", "the source, in acr_transfer.py's way: the name of a `REGISTRY`")
	flags.StringVar(&f.targetName, "target-registry-name", "", "the target, likewise: the name of a `REGISTRY`")
	flags.String("source-subscription-id", "", "`ID` accepted for acr_transfer.py's scripts; not needed, and told to nobody")
	flags.String("target-subscription-id", "", "`ID` accepted likewise")
	flags.Bool("force-on-retry", false, "accepted likewise: tags that hold something else are replaced anyway")
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags)
	return cmd
}

func runTransfer(a *app.App, cmd *cobra.Command, f transferFlags, args []string) error {
	req, err := transferRequest(a, cmd, &f, args)
	if err != nil {
		return err
	}
	if f.parallel > 0 {
		a.Common.Images = f.parallel
	}
	typed := args
	if f.sourceName != "" {
		typed = []string{f.sourceName, f.targetName}
	}
	return run.Stream(a, cmd, run.Streaming{
		Past: "transferred", Verb: "transfer", DryRun: f.dryRun, FailedTo: f.failedTo, Overwrite: req.Overwrite, Backup: req.Backup, Proof: proof(cmd, typed),
		Ask: func(ctx context.Context, c *client.Client, d *dray.Dray) (wire.Request, error) {
			err := f.Told(cmd)
			if err == nil {
				err = f.byNames(ctx, c, d, &req)
			}
			return ask.Transfer(&f.Ends, f.delay, req), err
		},
		Plan: func(ctx context.Context, d *dray.Dray, tell event.Observer, s *out.Story, visit func(dray.RepositoryPlan) error) (dray.TransferReport, error) {
			req, err := f.resolved(d, s, req)
			if err != nil {
				return dray.TransferReport{}, err
			}
			return d.PlanTransfer(ctx, req, tell, visit)
		},
		Run: func(ctx context.Context, d *dray.Dray, tell event.Observer, s *out.Story, visit func(dray.RepositoryReport) error) (dray.TransferReport, error) {
			req, err := f.resolved(d, s, req)
			if err != nil {
				return dray.TransferReport{}, err
			}
			return d.Transfer(ctx, req, tell, visit)
		},
	})
}

// byNames replaces the ends that acr_transfer.py's flags name: a name that the server has stays
// one, any other is that of an Azure registry.
func (f *transferFlags) byNames(ctx context.Context, c *client.Client, d *dray.Dray, req *dray.TransferRequest) error {
	if f.sourceName == "" {
		return nil
	}
	known, err := c.Registries(ctx)
	if err != nil {
		return err
	}
	host := func(name string) (string, error) {
		for _, r := range known {
			if strings.EqualFold(r.Name, name) {
				return r.Host, nil
			}
		}
		return d.RegistryHost(name)
	}
	from, err := host(f.sourceName)
	if err != nil {
		return err
	}
	req.Sources = []string{from}
	req.Target, err = host(f.targetName)
	return err
}

// resolved finds the registries that are given by name, as az's own tools mean it.
func (f transferFlags) resolved(d *dray.Dray, s *out.Story, req dray.TransferRequest) (dray.TransferRequest, error) {
	f.ExplainTo(s.SayLines, &req)
	if f.sourceName == "" {
		return req, nil
	}
	from, err := d.RegistryHost(f.sourceName)
	if err != nil {
		return req, fault.On(fault.Source, err)
	}
	to, err := d.RegistryHost(f.targetName)
	req.Sources, req.Target = []string{from}, to
	return req, fault.On(fault.Target, err)
}

func transferRequest(a *app.App, cmd *cobra.Command, f *transferFlags, args []string) (req dray.TransferRequest, err error) {
	if err := f.check(cmd); err != nil {
		return req, err
	}
	backup, err := flag.BackupOf(f.backup, time.Now())
	if err != nil {
		return req, err
	}
	if req, err = f.Ends.Request(cmd, a.IO.In, args); err != nil {
		return req, err
	}
	req.Backup, req.Overwrite = backup, plan.Overwrite(f.overwrite)
	if f.force {
		req.Overwrite = plan.Always
	}
	req.CopyLocks, req.Heal, req.Incremental = f.locks, f.mend, f.changed
	if f.readBack {
		req.Proof = dray.Hashed
	}
	req.Delay = time.Duration(f.delay * float64(time.Second))
	if req.SourceLogin, err = a.SourceLogin(cmd.Context()); err != nil {
		return req, err
	}
	req.TargetLogin, err = a.TargetLogin(cmd.Context())
	return req, err
}

func (f transferFlags) check(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	switch {
	case changed("source-registry-name") != changed("target-registry-name"):
		return flag.UsageError(cmd, errors.New("--source-registry-name and --target-registry-name go together"), "or write SOURCE and TARGET as arguments")
	case f.force && changed("overwrite") && f.overwrite != flag.Overwrite(plan.Always):
		return flag.UsageError(cmd, fmt.Errorf("--force and --overwrite %s both given", f.overwrite.String()), "keep one of them")
	case f.backup != "" && f.overwrite == flag.Overwrite(plan.Refuse) && !f.force:
		return flag.UsageError(cmd, errors.New("--backup with --overwrite refuse: nothing is overwritten"), "leave one of them out")
	case f.mend && f.dryRun:
		return flag.UsageError(cmd, errors.New("--heal is not planned: a plan tells of digests, and not of what is lacking below them"), "dray verify --deep tells it")
	case f.readBack && !f.force && f.overwrite != flag.Overwrite(plan.Always):
		return flag.UsageError(cmd, errors.New("--rehash without --force: what is equal is not looked into"), "add --force, or prove it with dray verify --rehash")
	case f.delay < 0 || f.delay > 24*60*60:
		return flag.UsageError(cmd, errors.New("--delay-seconds: not between 0 and a day"), "")
	case f.parallel < 0 || f.parallel == 0 && changed("parallel-imports"):
		return flag.UsageError(cmd, errors.New("--parallel-imports: not a count"), "1 or more")
	}
	return f.Ends.Check(cmd)
}
