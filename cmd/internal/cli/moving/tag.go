package moving

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/ask"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/ref"
)

// NewTag makes the command dray tag.
func NewTag(a *app.App) *cobra.Command {
	var f flag.Tags
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "tag IMAGE NEWTAG... | REPO --map FROM=TO... | REPO --rename s/RE2/TEXT/",
		Short: "Give an image further tags in its repository",
		Long: "Give an image further tags in its repository. dray reads and writes only the manifest. A tag that " +
			"exists with another digest is moved to the image.\n\n" +
			"With --map, --map-file or --rename, dray gives many tags of a repository further names, each on its own.",
		Example: "  dray tag registry.example/app:v1 stable latest\n" +
			"  dray tag registry.example/app@sha256:... v1\n" +
			"  dray tag registry.example/app --map latest=stable --map v1.0=v1.0-production\n" +
			"  dray tag registry.example/app --rename 's/^v(.*)$/v$1-production/'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(f.Pairs) > 0 || f.File != "" || len(f.Renames) > 0 {
				if len(args) == 0 {
					return flag.UsageError(cmd, errors.New("REPO is missing"), "write a repository; the map names the new tags")
				}
				return flag.Exactly(1, "a repository; the map names the new tags")(cmd, args)
			}
			return flag.AtLeast(2, "an image, then its new tags")(cmd, args)
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, tag := range args[1:] {
			if strings.ContainsAny(tag, "/:@") {
				return flag.UsageError(cmd, fmt.Errorf("%s is a full name, not a tag", tag), insteadOf(a, args[0], tag))
			}
		}
		renamed, err := f.Read(cmd)
		if err != nil {
			return err
		}
		login, err := a.OneLogin(cmd.Context(), a.TargetLogin, a.SourceLogin)
		if err != nil {
			return err
		}
		req := dray.TagRequest{Image: args[0], Tags: args[1:], Map: renamed, Hold: f.Hold(), Login: login}
		return run.Write(a, cmd, run.Writing{
			Past:   "tagged",
			Many:   len(renamed.Pairs)+len(renamed.Rename) > 0,
			DryRun: dryRun,
			Hold:   req.Hold,
			Ask:    ask.Known(ask.Tag(req, f.Renames)),
			Plan: func(ctx context.Context, d *dray.Dray, tell event.Observer) (*dray.Prepared, error) {
				return d.PlanTag(ctx, req, tell)
			},
		})
	}
	flags := cmd.Flags()
	f.AddTo(flags)
	flag.AddDryRunTo(flags, &dryRun)
	a.Common.AddHandOverTo(flags)
	a.Common.AddRegistryTo(flags, flag.AtTarget)
	return cmd
}

// insteadOf returns the command that gives image the full name to, as docker tag does: another tag if to is in
// the same repository, else a copy.
func insteadOf(a *app.App, image, to string) string {
	if tag, ok := strings.CutPrefix(to, ":"); ok && !strings.ContainsAny(tag, "/:@") {
		return "leave the colon out: " + a.NextAt("tag", image, tag)
	}
	from, err := ref.Parse(image)
	if n, terr := ref.Parse(to); err == nil && terr == nil && n.Repo == from.Repo && n.Tag != "" && n.Digest == "" {
		return "leave the repository out: " + a.NextAt("tag", image, n.Tag)
	}
	return "use " + a.NextAt("copy", image, to)
}
