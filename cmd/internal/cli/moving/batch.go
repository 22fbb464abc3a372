package moving

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// batchFlags holds the flags of dray batch.
type batchFlags struct {
	name      string
	file      string
	strip     []string
	rewrites  []string
	failedTo  string
	force     bool
	skip      bool // the value of --skip-broken
	dryRun    bool
	platforms flag.Platforms
	referrers flag.Referrers
	flag.Tags // only its --all-or-nothing is a flag of batch

	renames plan.Renames // rewrites, parsed
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
	flag.Group(flags, "Which images", func(set *pflag.FlagSet) {
		set.StringVarP(&f.file, "file", "f", "", "read the list from `FILE`; - is stdin")
		set.BoolVar(&f.skip, "skip-broken", false,
			"leave out tags that their repository lists and whose manifest does not exist, "+
				"and name them in the report (default such a tag fails)")
	})
	flag.Group(flags, flag.TargetNames, func(set *pflag.FlagSet) {
		set.StringVarP(&f.name, "name", "n", "", flag.NamedRegistry("for targets without a registry, use this"))
		set.StringArrayVar(&f.strip, "strip", nil,
			"for a source without a target: remove `PREFIX` from it, and the rest is its target; "+
				"repeatable, the first that matches is removed")
		set.StringArrayVar(&f.rewrites, "rewrite", nil,
			"for a source without a target: make its target with `s/RE2/TEXT/`, after --strip; "+
				"repeatable, applied one after the other")
	})
	f.platforms.AddTo(flags, "import only")
	f.referrers.AddTo(flags)
	flag.AddForceTo(flags, &f.force)
	f.AddHoldTo(flags, "set no tag of the list unless all can be set (default each tag on its own)")
	flag.AddDryRunTo(flags, &f.dryRun)
	flag.Group(flags, flag.Safety, func(set *pflag.FlagSet) {
		set.StringVar(&f.failedTo, "failed-to", "",
			"write the images that failed or were not begun to `FILE`, as a list for the next dray batch; "+
				"if there are none, FILE does not exist afterwards")
	})
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags, flag.Copies)
	return cmd
}

func runBatch(a *app.App, cmd *cobra.Command, f batchFlags) error {
	if f.file == "" {
		return flag.UsageError(cmd, errors.New("-f is missing"), "name the file of the list, or - for stdin")
	}
	var err error
	if f.renames, err = plan.ParseRenames(f.rewrites); err != nil {
		return err
	}
	list, err := readList(a, f.file)
	if err != nil {
		return err
	}
	if f.dryRun {
		noteUnwritten(a, f.failedTo)
		f.failedTo = ""
	}
	if err := run.CheckWritable(f.failedTo, f.file); err != nil {
		return err
	}
	req := dray.BatchRequest{Target: cmp.Or(f.name, a.IO.Env("AZURE_DEFAULTS_ACR")), Hold: f.Hold()}
	req.SkipBroken = f.skip
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
	rest := leftover{path: f.failedTo, list: list, target: req.Target, entries: f.entries}
	rest.skips = f.skip || req.Platforms.Lacks == plan.Optional
	return run.Write(a, cmd, run.Writing{
		Past: "imported", Many: true, DryRun: f.dryRun, Instead: "use --force to replace it", Keep: rest.keep, Hold: req.Hold,
		Ask: func(ctx context.Context, _ *client.Client, names ask.Names) (wire.Request, error) {
			d, err := names(ctx)
			if err != nil {
				return wire.Request{}, err
			}
			req := req
			req.Entries = f.entries(d, list)
			return ask.Batch(req), nil
		},
		Plan: func(ctx context.Context, d *dray.Dray, tell event.Observer) (*dray.Prepared, error) {
			req := req
			req.Entries = f.entries(d, list)
			return d.PlanBatch(ctx, req, tell)
		},
	})
}

// readList reads the list at path; "-" is stdin.
func readList(a *app.App, path string) (config.List, error) {
	if path == "-" {
		return config.ReadList(a.IO.In, "stdin")
	}
	in, err := config.Open("read list", path)
	if err != nil {
		return config.List{}, err
	}
	defer in.Close()
	return config.ReadList(in, path)
}

// entries makes the entries of a request from a list. A source that stands alone gets the target that the
// flags make of it.
func (f batchFlags) entries(d *dray.Dray, list config.List) []dray.BatchEntry {
	entries := make([]dray.BatchEntry, len(list.Entries))
	for i, e := range list.Entries {
		entries[i] = dray.BatchEntry{
			Source:    e.Source,
			Targets:   e.Targets,
			Overwrite: plan.Overwrite(e.Overwrite),
			Line:      e.Line,
		}
		if len(e.Targets) > 0 {
			continue
		}
		if to := f.target(d, e.Source); to != "" {
			// The rest after --strip is a path, even if it looks like a host. An expression may make a full name.
			entries[i].Targets, entries[i].Paths = []string{to}, len(f.renames) == 0
		}
	}
	return entries
}

// target returns the target that --strip and --rewrite make of a source as it is typed, or of its
// canonical name if they do not change the typed one. It returns "" if they change neither. The tag is
// kept; a digest is not part of a target.
func (f batchFlags) target(d *dray.Dray, source string) string {
	if len(f.strip)+len(f.renames) == 0 {
		return ""
	}
	typed, _, _ := strings.Cut(source, "@")
	if to := f.change(typed); to != typed {
		return to
	}
	n, err := d.Name(source, fault.Source)
	if err != nil {
		return "" // planning reports what is wrong with the name
	}
	whole := n.Repo.Tagged(n.Tag).String()
	if to := f.change(whole); to != whole {
		return to
	}
	return ""
}

func (f batchFlags) change(name string) string {
	for _, prefix := range f.strip {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
			name = rest
			break
		}
	}
	return f.renames.Apply(name)
}
