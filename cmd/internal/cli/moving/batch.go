package moving

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// batchFlags are those of batch.
type batchFlags struct {
	name      string
	file      string
	strip     []string
	rewrites  []string
	failedTo  string
	force     bool
	dryRun    bool
	flag.Tags // of which only all-or-nothing is a flag here

	renames plan.Renames // what rewrites say
}

// NewBatch makes dray batch.
func NewBatch(a *app.App) *cobra.Command {
	var f batchFlags
	cmd := &cobra.Command{
		Use:   "batch -f FILE [--name REGISTRY]",
		Short: "Import the images of a list, each on its own",
		Long: "Import every image of a list. A line is a source and its targets, with blanks between; blank\n" +
			"lines and comments (#) are left out. A target without a registry is a path in --name. A line\n" +
			"with a source alone goes to its own name in --name, less what --strip and --rewrite change.\n" +
			"The list may be YAML too, with options for each image. What fails stops nothing else.",
		Example: "  dray batch --name prod -f images.txt\n" +
			"  dray batch --name prod -f images.txt --force --failed-to again.txt\n" +
			"  dray batch --name prod --strip docker.io/library/ --strip docker.io/ --strip mcr.microsoft.com/ -f list\n" +
			"  dray ls registry.example/app | dray batch --name prod --rewrite 's|^registry.example/|mirror/|' -f -",
		Args: flag.Exactly(0, "the list after -f"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runBatch(a, cmd, f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.file, "file", "f", "", "the list, a `FILE` or - for stdin")
	flags.StringVarP(&f.name, "name", "n", "", "`REGISTRY` of targets that name none: a configured name, a host, or an Azure registry's name (default $AZURE_DEFAULTS_ACR, else the configuration's)")
	flags.StringArrayVar(&f.strip, "strip", nil, "cut this `PREFIX` off a source that stands alone; the rest is its target; repeatable, the first that fits counts")
	flags.StringArrayVar(&f.rewrites, "rewrite", nil, "make its target by `s/RE2/TEXT/`, after --strip; repeatable, one after another")
	flags.BoolVar(&f.force, "force", false, "replace target tags that hold something else")
	f.AddHoldTo(flags)
	flags.StringVar(&f.failedTo, "failed-to", "", "write what failed or was not begun to `FILE`, as a list; without such, there is no file")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done, write nothing")
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags)
	return cmd
}

func runBatch(a *app.App, cmd *cobra.Command, f batchFlags) error {
	if f.file == "" {
		return flag.UsageError(cmd, errors.New("-f is missing"), "name the list, or - for stdin")
	}
	var err error
	if f.renames, err = plan.ParseRenames(f.rewrites); err != nil {
		return err
	}
	list, err := readList(cmd.Context(), a, f.file)
	if err != nil {
		return err
	}
	if f.dryRun {
		f.failedTo = ""
	}
	if err := run.CheckFailedTo(f.failedTo, f.file); err != nil {
		return err
	}
	req := dray.BatchRequest{Target: cmp.Or(f.name, a.IO.Env("AZURE_DEFAULTS_ACR")), Hold: f.Hold()}
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
	return run.Write(a, cmd, run.Writing{
		Past: "imported", Many: true, DryRun: f.dryRun, Instead: "--force replaces it", Keep: rest.keep, Hold: req.Hold,
		Ask: func(_ context.Context, _ *client.Client, d *dray.Dray) (wire.Request, error) {
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

// readList reads a list while the command can be interrupted: stdin may never end.
func readList(ctx context.Context, a *app.App, path string) (config.List, error) {
	if path == "-" {
		return app.Patiently(ctx, 0, func() (config.List, error) { return config.ReadList(a.IO.In, "stdin") })
	}
	in, err := os.Open(path)
	if err != nil {
		return config.List{}, &fault.Fault{Kind: fault.Invalid, Op: "read list", Name: path, Err: out.Bare(err)}
	}
	defer in.Close()
	return config.ReadList(in, path)
}

// entries makes requests of a list: a source that stands alone gets the target that the flags make of it.
func (f batchFlags) entries(d *dray.Dray, list config.List) []dray.BatchEntry {
	entries := make([]dray.BatchEntry, len(list.Entries))
	for i, e := range list.Entries {
		entries[i] = dray.BatchEntry{Source: e.Source, Targets: e.Targets, Overwrite: plan.Overwrite(e.Overwrite), Line: e.Line}
		if len(e.Targets) > 0 {
			continue
		}
		if to := f.target(d, e.Source); to != "" {
			// What --strip leaves is a path, also where it looks like a host; what an expression makes may be a full name.
			entries[i].Targets, entries[i].Paths = []string{to}, len(f.renames) == 0
		}
	}
	return entries
}

// target is what --strip and --rewrite make of a source as it is typed, else of its canonical name;
// "" where they change nothing. The tag is kept, a digest is no part of a target.
func (f batchFlags) target(d *dray.Dray, source string) string {
	if len(f.strip)+len(f.renames) == 0 {
		return ""
	}
	typed, _, _ := strings.Cut(source, "@")
	if to := f.change(typed); to != typed {
		return to
	}
	n, err := d.Name(source)
	if err != nil {
		return "" // the plan says what is wrong with it
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
