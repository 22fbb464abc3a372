package moving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

// transferFlags holds the flags of dray transfer: its own, and all flags of acr_transfer.py.
type transferFlags struct {
	sourceName, targetName string
	flag.Ends

	overwrite flag.Overwrite
	force     bool
	backup    string
	locks     bool
	mend      bool    // the value of --heal
	changed   bool    // the value of --incremental
	readBack  bool    // the value of --rehash
	delay     float64 // the value of --delay-seconds
	parallel  int
	dryRun    bool
	failedTo  string
	gates     []string // the values of --verify-signature
}

// NewTransfer makes the command dray transfer.
func NewTransfer(a *app.App) *cobra.Command { return newTransfer(a, flag.Copies) }

func newTransfer(a *app.App, t flag.Traffic) *cobra.Command {
	f := transferFlags{overwrite: flag.Overwrite(plan.Update)}
	cmd := &cobra.Command{
		Use:   "transfer SOURCE... TARGET",
		Short: "Copy the tags of whole registries to another one, by digest",
		Long: "Copy all tags of one or more sources to a target, if they are missing there or have another " +
			"digest. Tags that are up to date are not touched.\n\n" +
			"A source or target is one of:\n\n" +
			"  HOST, NAME         a registry, by host or configured name\n" +
			"  HOST/PREFIX/       all repositories below a prefix\n" +
			"  HOST/REPO          one repository\n" +
			"  oci:DIR            an OCI image layout on disk\n" +
			"  oci:DIR/           one that holds many repositories\n" +
			"  oci-archive:FILE   an archive of one repository\n" +
			"  oci-archive:FILE/  one that holds many repositories\n" +
			"  docker-archive:FILE  as docker save writes it\n\n" +
			"Each tag is on its own: a tag that fails does not stop the others. To try again, run the same " +
			"command; it continues with what is left.\n\n" +
			"The flags of acr_transfer.py have the same meaning here.",
		Example: "  dray transfer dev prod --dry-run\n" +
			"  dray transfer dev oci:/media/stick/ && dray transfer oci:/media/stick/ prod\n" +
			"  dray transfer dev.example/team/ prod.example/mirror/ --latest 10 \\\n" +
			"      --exclude-tags '*-rc*'\n" +
			"  dray transfer old1 old2 new --prefer old2 --failed-to again.txt\n" +
			"  dray transfer --source-registry-name dev --target-registry-name prod \\\n" +
			"      --letters a-c,e --max-repositories 10",
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("source-registry-name") || cmd.Flags().Changed("target-registry-name") {
				return flag.Exactly(0, "the registries by their flags, or as arguments")(cmd, args)
			}
			return flag.AtLeast(2, "one or more sources, then the target")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runTransfer(a, cmd, f, args) },
	}
	f.addTo(cmd.Flags())
	a.Common.AddHandOverTo(cmd.Flags())
	a.Common.AddRegistryTo(cmd.Flags(), t)
	if t == flag.Copies {
		a.Common.AddViaTo(cmd.Flags())
	}
	return cmd
}

// failedToText is the text of --failed-to in transfer and apply.
const failedToText = "write the tags that failed to `FILE`, as a list for dray batch --force; " +
	"if none failed, FILE does not exist afterwards"

func (f *transferFlags) addTo(flags *pflag.FlagSet) {
	f.AddSelectionTo(flags)
	flag.Group(flags, flag.WhichTags, func(set *pflag.FlagSet) {
		set.StringArrayVar(&f.Prefer, "prefer", nil,
			"if a tag has different digests at several sources, take it from this `SOURCE`; repeatable, "+
				"in order of preference (default such a tag is a conflict)")
	})
	f.Platforms.AddTo(flags, "copy only")
	f.AddMappingTo(flags)
	flag.AddDryRunTo(flags, &f.dryRun)
	flag.Group(flags, flag.Safety, func(set *pflag.FlagSet) {
		set.BoolVar(&f.Explain, "explain", false,
			"print on stderr, for each repository and tag, which rule selected it or left it out")
	})
	flag.AddOverwriteTo(flags, &f.overwrite)
	flag.Group(flags, flag.Safety, func(set *pflag.FlagSet) {
		set.BoolVar(&f.force, "force", false,
			"the same as --overwrite always: write every selected tag again and prove that its content is there")
		set.BoolVar(&f.readBack, "rehash", false,
			"with --force: also read each config and layer at TARGET, and send those again whose bytes differ")
		set.BoolVar(&f.mend, "heal", false,
			"also look below tags that are up to date, as dray verify --deep does, and send what is missing there")
	})
	flag.AddBackupTo(flags, &f.backup)
	flag.AddGateTo(flags, &f.gates)
	flag.Group(flags, flag.Safety, func(set *pflag.FlagSet) {
		set.BoolVar(&f.locks, "copy-locks", false,
			"after tags are set, lock those at TARGET that are locked at SOURCE; only between Azure registries")
		set.StringVar(&f.failedTo, "failed-to", "", failedToText)
	})
	flag.Group(flags, flag.Speed, func(set *pflag.FlagSet) {
		set.IntVar(&f.parallel, "parallel-imports", 0,
			"copy at most `N` images at once (default 32, or 1 with --delay-seconds)")
		set.BoolVar(&f.changed, "incremental", false,
			"list only the tags that were set since the last complete run, if the source can list tags by time, "+
				"as Azure's registries can; list all tags once a week")
		set.Float64Var(&f.delay, "delay-seconds", 0,
			"rest for `S` seconds between two images, and copy one at a time unless --parallel-imports is given")
	})
	flag.Group(flags, "acr_transfer.py compatibility", func(set *pflag.FlagSet) {
		set.StringVar(&f.sourceName, "source-registry-name", "",
			"take the source `REGISTRY` from this flag and not from SOURCE")
		set.StringVar(&f.targetName, "target-registry-name", "",
			"take the target `REGISTRY` from this flag and not from TARGET")
		set.String("source-subscription-id", "", "accepted for compatibility with acr_transfer.py; `ID` has no effect")
		set.String("target-subscription-id", "", "accepted for compatibility with acr_transfer.py; `ID` has no effect")
		flag.MayBeEmpty(set, "source-subscription-id", "target-subscription-id")
		set.Bool("force-on-retry", false,
			"accepted for compatibility with acr_transfer.py; "+
				"has no effect, since tags with another digest are replaced anyway")
	})
}

func runTransfer(a *app.App, cmd *cobra.Command, f transferFlags, args []string) error {
	req, err := transferRequest(a, cmd, &f, args)
	if err != nil {
		return err
	}
	if f.parallel > 0 {
		a.Common.Images = f.parallel
	}
	if f.dryRun {
		noteUnwritten(a, f.failedTo)
	} else if err := a.Yield(append([]string{req.Target}, req.Also...)...); err != nil {
		return err
	}
	return run.Stream(a, cmd, run.Streaming{
		Past:      "transferred",
		Verb:      "transfer",
		DryRun:    f.dryRun,
		FailedTo:  f.failedTo,
		Overwrite: req.Overwrite,
		Backup:    req.Backup,
		Referrers: req.Referrers,
		Platforms: req.Platforms,
		Proof:     func() string { return proof(cmd, append(slices.Clone(req.Sources), req.Target), "--deep") },
		Ask: ask.Gated(func(ctx context.Context, _ *client.Client, names ask.Names) (wire.Request, error) {
			if f.sourceName == "" {
				return ask.Transfer(&f.Ends, f.delay, req), nil
			}
			d, err := names(ctx)
			if err == nil {
				err = f.byNames(d, a.Note, &req)
			}
			return ask.Transfer(&f.Ends, f.delay, req), err
		}, f.gates),
		Plan: func(
			ctx context.Context, d *dray.Dray, tell event.Observer, s *out.Story, visit func(dray.RepositoryPlan) error,
		) (dray.TransferReport, error) {
			f.ExplainTo(s.SayLines, &req)
			if err := f.here(a, d, tell, &req); err != nil {
				return dray.TransferReport{}, err
			}
			return d.PlanTransfer(ctx, req, tell, visit)
		},
		Run: func(
			ctx context.Context, d *dray.Dray, tell event.Observer, s *out.Story, visit func(dray.RepositoryReport) error,
		) (dray.TransferReport, error) {
			f.ExplainTo(s.SayLines, &req)
			if err := f.here(a, d, tell, &req); err != nil {
				return dray.TransferReport{}, err
			}
			return d.Transfer(ctx, req, tell, visit)
		},
	})
}

// here completes req for a run in this process.
func (f transferFlags) here(a *app.App, d *dray.Dray, tell event.Observer, req *dray.TransferRequest) (err error) {
	if req.Gate, err = a.Gate(f.gates); err != nil {
		return err
	}
	return f.byNames(d, tell, req)
}

// byNames sets source and target of req if the flags of acr_transfer.py name them. They are read as az's
// tools read names.
func (f transferFlags) byNames(d *dray.Dray, tell event.Observer, req *dray.TransferRequest) error {
	if f.sourceName == "" {
		return nil
	}
	from, err := d.RegistryHost(f.sourceName, fault.Source, tell)
	if err != nil {
		return err
	}
	req.Sources = []string{from}
	req.Target, err = d.RegistryHost(f.targetName, fault.Target, tell)
	return err
}

// noteUnwritten notes that a dry run does not write failedTo, the file of --failed-to; "" if there is none.
func noteUnwritten(a *app.App, failedTo string) {
	if failedTo != "" {
		a.Note(event.Event{Kind: event.Noted, Text: "--dry-run does not write " + failedTo + ", the file of --failed-to"})
	}
}

func transferRequest(
	a *app.App, cmd *cobra.Command, f *transferFlags, args []string,
) (req dray.TransferRequest, err error) {
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
		return flag.UsageError(cmd, errors.New("--source-registry-name and --target-registry-name go together"),
			"or write SOURCE and TARGET as arguments")
	case f.force && changed("overwrite") && f.overwrite != flag.Overwrite(plan.Always):
		return flag.UsageError(cmd, fmt.Errorf("--force and --overwrite %s both given", f.overwrite.String()),
			"keep one of them")
	case f.backup != "" && f.overwrite == flag.Overwrite(plan.Refuse) && !f.force:
		return flag.UsageError(cmd, errors.New("--backup with --overwrite refuse: no tag is overwritten"),
			"leave one of them out")
	case f.mend && f.dryRun:
		why := errors.New("--heal and --dry-run both given: a plan compares digests, not the content below them")
		return flag.UsageError(cmd, why, "see what is missing: "+proof(cmd, cmd.Flags().Args(), "--deep"))
	case f.readBack && !f.force && f.overwrite != flag.Overwrite(plan.Always):
		why := errors.New("--rehash without --force: the content of tags that are equal is not read")
		hint := "add --force, or compare without writing: " + proof(cmd, cmd.Flags().Args(), "--rehash")
		return flag.UsageError(cmd, why, hint)
	}
	return f.Ends.Check(cmd)
}
