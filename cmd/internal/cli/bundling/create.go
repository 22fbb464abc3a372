package bundling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// createFlags holds the flags of dray bundle create.
type createFlags struct {
	file    string
	sources []string
	since   []string
	split   string
	only    []string
	gates   []string // the values of --verify-signature
	dryRun  bool
	to      written
	flag.Ends
}

func newCreate(a *app.App) *cobra.Command {
	f := createFlags{to: written{format: &a.Format}}
	cmd := &cobra.Command{
		Use:   "create -f LIST | --transfer SOURCE... -o FILE",
		Short: "Write images into files for a registry that no network reaches",
		Long: "Write images into a bundle. -f takes a list as of dray batch. --transfer takes a source as of " +
			"dray transfer, with all flags that select and rename. Targets are paths: whoever loads the bundle " +
			"chooses the registry.\n\n" +
			"With --since, the bundle has only what the receiver lacks. LIST is what dray bundle have prints at the " +
			"receiver, or the receipt of its last dray bundle load.\n\n" +
			"dray copies the content into the directory FILE.partial, and then writes FILE. That needs twice the " +
			"space for a while. If dray is interrupted, or if an image fails, the same command continues where it " +
			"stopped; FILE is only there when everything is in it. If FILE ends with a slash, the bundle is a directory, " +
			"which needs the space once.\n\n" +
			"-o json, or another format, is the format of the answer, as in every command; both can be given.",
		Example: "  dray bundle create -f images.txt -o images.tar\n" +
			"  dray bundle create --transfer dev/team/ --latest 3 --since have -o more.tar\n" +
			"  dray bundle create --transfer dev old -o /media/stick/all.tar --split 4GB\n" +
			"  dray bundle create --only 2 -o all.tar",
		Args: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("transfer") {
				return flag.Exactly(0, "sources after --transfer, the bundle after -o")(cmd, args)
			}
			f.sources = append(f.sources, args...)
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return runCreate(a, cmd, &f) },
	}
	flags := cmd.Flags()
	flag.Group(flags, "What to carry", func(set *pflag.FlagSet) {
		set.StringVarP(&f.file, "file", "f", "", "read the list of images from `LIST`; - is stdin")
		set.StringArrayVar(&f.sources, "transfer", nil,
			"carry the tags of `SOURCE`: HOST, HOST/PREFIX/ or HOST/REPO; more sources may follow")
		set.StringArrayVar(&f.since, "since", nil,
			"leave out what is on this `LIST` of what the receiver has; - is stdin; repeatable, the latest last")
		set.StringArrayVar(&f.only, "only", nil,
			"make only volume `N` again, as it was; repeatable; FILE.1.tar or another volume of the bundle must be there")
		set.VarP(&f.to, "output", "o",
			"write the bundle to `FILE`, or to a directory if it ends with a slash; or the format of the answer")
		set.StringVar(&f.split, "split", "",
			"write files of at most `SIZE`, such as 4GB, which are named FILE.1.tar, FILE.2.tar and so on")
	})
	f.AddSelectionTo(flags)
	flag.Group(flags, flag.WhichTags, func(set *pflag.FlagSet) {
		set.StringArrayVar(&f.Prefer, "prefer", nil,
			"if a tag has different digests at several sources, take it from this `SOURCE`; repeatable, "+
				"in order of preference (default such a tag is a conflict)")
	})
	f.AddMappingTo(flags)
	f.Platforms.AddTo(flags, "carry only")
	flag.Group(flags, flag.Registries, a.Common.AddForeignTo)
	flag.Group(flags, flag.Safety, func(set *pflag.FlagSet) {
		set.BoolVar(&f.dryRun, "dry-run", false, "print what the bundle would have, and how large its files would be")
	})
	flag.AddGateTo(flags, &f.gates)
	a.Common.AddRegistryTo(flags, flag.AtSource|flag.ReadsBlobs)
	return cmd
}

func runCreate(a *app.App, cmd *cobra.Command, f *createFlags) error {
	req, entries, err := f.request(a, cmd)
	if err != nil {
		return err
	}
	ask := func(ctx context.Context, d *dray.Dray, s *out.Story) (_ dray.BundleRequest, err error) {
		req := req
		f.ExplainTo(s.SayLines, &req.Transfer)
		if entries != nil {
			req.Batch.Entries, err = entries(ctx, d)
		}
		return req, err
	}
	var bundle *dray.Bundle
	var cause error  // why no bundle is written
	refused := false // nothing was begun
	err = run.StreamHere(a, cmd, run.Streaming{
		Past: "bundled", Verb: "create", Overwrite: plan.Update, DryRun: f.dryRun,
		Plan: func(
			ctx context.Context, d *dray.Dray, tell event.Observer, s *out.Story, visit func(dray.RepositoryPlan) error,
		) (dray.TransferReport, error) {
			req, err := ask(ctx, d, s)
			if err != nil {
				refused = true
				return dray.TransferReport{}, err
			}
			sum, err := d.PlanBundle(ctx, req, tell, visit)
			bundle, refused = sum.Bundle, err != nil
			return sum, err
		},
		Run: func(
			ctx context.Context, d *dray.Dray, tell event.Observer, s *out.Story, visit func(dray.RepositoryReport) error,
		) (dray.TransferReport, error) {
			req, err := ask(ctx, d, s)
			if err != nil {
				refused = true
				return dray.TransferReport{}, err
			}
			sum, err := d.CreateBundle(ctx, req, tell, visit)
			bundle, cause, refused = sum.Bundle, err, err != nil && sum.Verb == ""
			return sum, err
		},
	})
	say := sayWritten
	if f.dryRun {
		say = sayPlanned
	}
	if err == nil && !a.Quiet {
		say(a, bundle)
	} else if err != nil && !refused && !a.Quiet {
		sayStaged(a, strings.TrimRight(f.to.file, "/\\")+".partial", cause)
	}
	return err
}

// listing makes the entries of a list.
type listing func(context.Context, *dray.Dray) ([]dray.BatchEntry, error)

// request makes the request of the flags. entries makes the entries of a list; it is nil without one.
func (f *createFlags) request(
	a *app.App, cmd *cobra.Command,
) (req dray.BundleRequest, entries listing, err error) {
	if err := f.check(cmd); err != nil {
		return req, nil, err
	}
	req = dray.BundleRequest{Since: f.since, Stdin: a.IO.In, To: f.to.file, Made: time.Now()}
	if req.Split, err = splitOf(cmd, f.split); err != nil {
		return req, nil, err
	}
	if req.Only, err = onlyOf(cmd, f.only); err != nil {
		return req, nil, err
	}
	if req.Transfer, err = f.Ends.Request(cmd, a.IO.In, append(f.sources, "")); err != nil {
		return req, nil, err
	}
	if req.Transfer.SourceLogin, err = a.SourceLogin(cmd.Context()); err != nil {
		return req, nil, err
	}
	if req.Transfer.Gate, err = a.Gate(f.gates); err != nil {
		return req, nil, err
	}
	req.Batch = dray.BatchRequest{
		Gate: req.Transfer.Gate, SkipBroken: f.Skip, SourceLogin: req.Transfer.SourceLogin, Referrers: req.Transfer.Referrers,
		Platforms: req.Transfer.Platforms,
	}
	if f.file == "" {
		return req, nil, nil
	}
	var strip []string
	if f.Strip != "" {
		strip = []string{f.Strip}
	}
	l := flag.ListOf(f.file, strip, f.Rewrites)
	list, err := l.Read(cmd, a.IO.In)
	if err == nil && len(list.Entries) == 0 {
		err = flag.UsageError(cmd, fmt.Errorf("%s names no image", f.file), "write one image a line")
	}
	return req, func(ctx context.Context, d *dray.Dray) ([]dray.BatchEntry, error) { return l.Entries(ctx, d, list) }, err
}

// check refuses flags that do not go together.
func (f *createFlags) check(cmd *cobra.Command) error {
	given := 0
	for _, some := range []bool{f.file != "", len(f.sources) > 0, len(f.only) > 0} {
		if some {
			given++
		}
	}
	stdins := 0
	for _, name := range append([]string{f.file}, f.since...) {
		if name == "-" {
			stdins++
		}
	}
	switch {
	case given == 0:
		return flag.UsageError(cmd, errors.New("there is nothing to carry"), "give -f LIST or --transfer SOURCE")
	case given > 1:
		return flag.UsageError(cmd, errors.New("-f, --transfer and --only do not go together"), "keep one of them")
	case stdins > 1:
		return flag.UsageError(cmd, errors.New("the standard input is given more than once"),
			"write one of the lists to a file")
	case f.to.file == "":
		return flag.UsageError(cmd, errors.New("the file of the bundle is missing"), "name it with -o, such as -o images.tar")
	case f.to.file == "-":
		return flag.UsageError(cmd, errors.New("-o -: a bundle is a file or a directory, not the standard output"),
			"name a file, such as -o images.tar")
	case len(f.only) > 0:
		return f.refuse(cmd, "--only: the bundle has the list of what to make again", func(name string) bool {
			return name == "since" || name == "dry-run" || name == "split" || ofTransfer(cmd, name) ||
				slices.Contains([]string{flag.Along, flag.WhichPlatforms}, flag.HeadingOf(cmd.Flags().Lookup(name)))
		})
	case f.file != "":
		return f.refuse(cmd, "-f: the list names the images", func(name string) bool {
			return name != "skip-broken" && name != "strip" && name != "rewrite" && ofTransfer(cmd, name)
		})
	}
	return f.Ends.Check(cmd)
}

// ofTransfer reports whether a flag selects or renames what is transferred.
func ofTransfer(cmd *cobra.Command, name string) bool {
	switch flag.HeadingOf(cmd.Flags().Lookup(name)) {
	case flag.WhichRepositories, flag.WhichTags, flag.TargetNames:
		return true
	}
	return false
}

// refuse refuses flags that have no effect beside another one.
func (f *createFlags) refuse(cmd *cobra.Command, beside string, idle func(name string) bool) error {
	var err error
	cmd.Flags().Visit(func(g *pflag.Flag) {
		if err == nil && idle(g.Name) {
			err = flag.UsageError(cmd, fmt.Errorf("--%s with %s", g.Name, beside), "leave it out")
		}
	})
	return err
}

func splitOf(cmd *cobra.Command, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := config.Size(text)
	if err == nil && n == 0 {
		err = errors.New("0 has no room for anything")
	}
	if err != nil {
		return 0, flag.UsageError(cmd, fmt.Errorf("--split %s: %w", text, err), "write a size such as 4GB")
	}
	return n, nil
}

func onlyOf(cmd *cobra.Command, texts []string) (all []int, err error) {
	for _, text := range texts {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, flag.UsageError(cmd, fmt.Errorf("--only %s: not the number of a volume", text),
				"write the number that the command bundle verify names")
		}
		all = append(all, n)
	}
	return all, nil
}
