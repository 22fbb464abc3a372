package moving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// copyFlags holds the flags of dray copy.
type copyFlags struct {
	overwrite flag.Overwrite
	backup    string
	allTags   bool
	sharing   bool
	skip      bool // the value of --skip-broken
	dryRun    bool
	platforms flag.Platforms
	gates     []string // the values of --verify-signature
	flag.Tags
	referrers flag.Referrers
}

// NewCopy makes the command dray copy.
func NewCopy(a *app.App) *cobra.Command { return newCopy(a, flag.Copies) }

func newCopy(a *app.App, t flag.Traffic) *cobra.Command {
	f := copyFlags{overwrite: flag.Overwrite(plan.Update)}
	cmd := &cobra.Command{
		Use:   "copy SOURCE TARGET...",
		Short: "Copy an image, or all tags of a repository",
		Long: "Copy an image to one or more names, between registries, OCI image layouts on disk " +
			"(oci:DIR[:REF]), archives (oci-archive:FILE[:REF], docker-archive:FILE[:REF]) and directories of " +
			"skopeo (dir:DIR). FILE may be -, the standard input or output.\n\n" +
			"A target without a tag gets the tag of the source. A source with a digest and without a tag is " +
			"stored at the target by its digest, without a tag. dray prints HOST/REPO:TAG@DIGEST for each target.",
		Example: "  dray copy nginx:1.27 prod/nginx:1.27 prod/nginx:stable\n" +
			"  dray copy registry.example/app:v1 oci-archive:app.tar\n" +
			"  docker save app:v1 | dray copy docker-archive:- registry.example/app:v1\n" +
			"  dray copy --all-tags dev.example/app prod.example/app --dry-run\n" +
			"  dray copy --all-tags dev.example/app prod.example/app --map latest=stable \\\n" +
			"      --rename 's/^(v.*)$/$1-production/'\n" +
			"  dray copy --all-tags-of dev.example/app:latest prod.example/app\n" +
			"  dray copy dev.azurecr.io/app:v1 prod.azurecr.io/app:v1 --via azure",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return flag.UsageError(cmd, fmt.Errorf("%s is the source; no target given", args[0]), "add one or more targets")
			}
			return flag.AtLeast(2, "the source, then one or more targets")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runCopy(a, cmd, f, args) },
	}
	flags := cmd.Flags()
	flag.Group(flags, flag.WhichTags, func(set *pflag.FlagSet) {
		set.BoolVar(&f.allTags, "all-tags", false, "copy every tag; SOURCE and TARGET are repositories")
		set.BoolVar(&f.sharing, "all-tags-of", false,
			"copy every tag that has the digest of SOURCE; TARGET is a repository")
		set.BoolVar(&f.skip, "skip-broken", false, "with --all-tags: "+flag.SkipBrokenText)
	})
	f.platforms.AddTo(flags, "copy only")
	f.Tags.AddTo(flags)
	f.referrers.AddTo(flags)
	flag.AddOverwriteTo(flags, &f.overwrite)
	flag.AddBackupTo(flags, &f.backup)
	flag.AddGateTo(flags, &f.gates)
	flag.AddDryRunTo(flags, &f.dryRun)
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags, t)
	if t == flag.Copies {
		a.Common.AddViaTo(flags)
		a.Common.AddUnseenTo(flags)
	}
	return cmd
}

func runCopy(a *app.App, cmd *cobra.Command, f copyFlags, args []string) error {
	req := dray.CopyRequest{Source: args[0], Targets: args[1:], Overwrite: plan.Overwrite(f.overwrite), Hold: f.Hold()}
	req.SkipBroken = f.skip
	if !f.dryRun {
		if err := a.Yield(req.Targets...); err != nil {
			return err
		}
	}
	switch {
	case f.skip && !f.allTags:
		return flag.UsageError(cmd, errors.New("--skip-broken without --all-tags: an image that is named must exist"),
			"add --all-tags, or leave it out")
	case f.allTags && f.sharing:
		return flag.UsageError(cmd, errors.New("--all-tags and --all-tags-of both given"), "keep one of them")
	case f.allTags:
		req.Tags = dray.AllTags
	case f.sharing:
		req.Tags = dray.Sharing
	}
	var err error
	if req.Backup, err = flag.BackupOf(f.backup, time.Now()); err != nil {
		return err
	}
	if req.Platforms, err = f.platforms.Read(); err != nil {
		return err
	}
	if req.Referrers, err = f.referrers.Read(cmd); err != nil {
		return err
	}
	if req.Map, err = f.Tags.Read(cmd); err != nil {
		return err
	}
	if req.SourceLogin, err = a.SourceLogin(cmd.Context()); err != nil {
		return err
	}
	if req.TargetLogin, err = a.TargetLogin(cmd.Context()); err != nil {
		return err
	}
	return run.Write(a, cmd, run.Writing{
		Past: "copied", Many: req.Tags != dray.NamedTag, DryRun: f.dryRun, Instead: "use --overwrite update to replace it",
		Hold: req.Hold, Ask: ask.Gated(ask.Known(ask.Copy(req, f.Renames)), f.gates),
		Plan: func(ctx context.Context, d *dray.Dray, tell event.Observer) (p *dray.Prepared, err error) {
			if req.Gate, err = a.Gate(f.gates); err != nil {
				return nil, err
			}
			return d.PlanCopy(ctx, req, tell)
		},
		Note: func(steps []plan.Step) string {
			if !f.allTags {
				return ""
			}
			return unused(req.Map, steps)
		},
	})
}

// unused returns a note about the tags of a map that the source does not have, since a map is easily out
// of date. It returns "" if there are none.
func unused(m plan.TagMap, steps []plan.Step) string {
	there := map[string]bool{}
	for _, s := range steps {
		there[s.From.Tag] = true
	}
	gone := slices.DeleteFunc(m.Keys(), func(tag string) bool { return there[tag] })
	if len(gone) == 0 {
		return ""
	}
	return "the map names tags that the source does not have: " + strings.Join(gone, ", ")
}
