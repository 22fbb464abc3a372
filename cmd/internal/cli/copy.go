package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
)

// overwrite is the value of --overwrite.
type overwrite plan.Overwrite

func (o *overwrite) String() string { return string(*o) }
func (o *overwrite) Type() string   { return "refuse|update|always" }

func (o *overwrite) Set(s string) error {
	switch plan.Overwrite(s) {
	case plan.Refuse, plan.Update, plan.Always:
		*o = overwrite(s)
		return nil
	}
	return errors.New("not one of " + o.Type())
}

// copyFlags are those of copy.
type copyFlags struct {
	overwrite overwrite
	backup    string
	allTags   bool
	sharing   bool
	dryRun    bool
	tagFlags
}

func newCopy(a *app) *cobra.Command {
	f := copyFlags{overwrite: overwrite(plan.Update)}
	cmd := &cobra.Command{
		Use:   "copy SOURCE TARGET...",
		Short: "Copy an image, or all tags of a repository",
		Long: "Copy an image to one or more names, between registries or OCI image layouts on disk\n" +
			"(oci:DIR[:TAG]). A target without a tag takes the source's; a source by digest without a\n" +
			"tag arrives by digest. Prints HOST/REPO:TAG@DIGEST for each target.",
		Example: "  dray copy nginx:1.27 registry.example/nginx:1.27 registry.example/nginx:stable\n" +
			"  dray copy registry.example/app:v1 oci:app:v1\n" +
			"  dray copy --all-tags dev.example/app prod.example/app --dry-run\n" +
			"  dray copy --all-tags dev.example/app prod.example/app --map latest=stable --rename 's/^(v.*)$/$1-production/'\n" +
			"  dray copy --all-tags-of dev.example/app:latest prod.example/app",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return usageError(cmd, fmt.Errorf("%s is the source; no target given", args[0]), "name where it goes")
			}
			return atLeast(2, "SOURCE TARGET...")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.runCopy(cmd, f, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&f.allTags, "all-tags", false, "copy every tag; SOURCE and TARGET are repositories")
	flags.BoolVar(&f.sharing, "all-tags-of", false, "copy every tag that has the digest of SOURCE; TARGET is a repository")
	f.tagFlags.addTo(flags)
	flags.Var(&f.overwrite, "overwrite", "what to do where a target tag holds something else; always puts equal ones again too")
	addBackupTo(flags, &f.backup)
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done, write nothing")
	a.common.addHandOverTo(flags)
	a.common.addRegistryTo(flags)
	return cmd
}

func (a *app) runCopy(cmd *cobra.Command, f copyFlags, args []string) error {
	req := dray.CopyRequest{Source: args[0], Targets: args[1:], Overwrite: plan.Overwrite(f.overwrite), Hold: f.hold()}
	switch {
	case f.allTags && f.sharing:
		return usageError(cmd, errors.New("--all-tags and --all-tags-of both given"), "keep one of them")
	case f.allTags:
		req.Tags = dray.AllTags
	case f.sharing:
		req.Tags = dray.Sharing
	}
	var err error
	if req.Backup, err = backupOf(f.backup, time.Now()); err != nil {
		return err
	}
	if req.Map, err = f.tagFlags.read(cmd); err != nil {
		return err
	}
	if req.SourceLogin, err = a.sourceLogin(cmd.Context()); err != nil {
		return err
	}
	if req.TargetLogin, err = a.targetLogin(cmd.Context()); err != nil {
		return err
	}
	return a.write(cmd, writing{
		past: "copied", many: req.Tags != dray.NamedTag, dryRun: f.dryRun, instead: "--overwrite update replaces it",
		hold: req.Hold, ask: asks(copyJSON(req, f.renames)),
		plan: func(ctx context.Context, d *dray.Dray, tell event.Observer) (*dray.Plan, error) {
			return d.PlanCopy(ctx, req, tell)
		},
		note: func(steps []plan.Step) string {
			if !f.allTags {
				return ""
			}
			return unused(req.Map, steps)
		},
	})
}

func newTag(a *app) *cobra.Command {
	var f tagFlags
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "tag IMAGE NEWTAG... | REPO --map FROM=TO... | REPO --rename s/RE2/TEXT/",
		Short: "Give an image further tags in its repository",
		Long: "Point further tags of a repository at an image that is in it. Only the manifest is read and\n" +
			"put; a tag that holds something else is moved. With a map or an expression, many tags of a\n" +
			"repository get further names, each on its own.",
		Example: "  dray tag registry.example/app:v1 stable latest\n" +
			"  dray tag registry.example/app@sha256:... v1\n" +
			"  dray tag registry.example/app --map latest=stable --map v1.0=v1.0-production\n" +
			"  dray tag registry.example/app --rename 's/^v(.*)$/v$1-production/'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(f.pairs) > 0 || f.file != "" || len(f.renames) > 0 {
				return exactly(1, "a repository; the map names the new tags")(cmd, args)
			}
			return atLeast(2, "IMAGE NEWTAG...")(cmd, args)
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, tag := range args[1:] {
			if strings.ContainsAny(tag, "/:@") {
				return usageError(cmd, fmt.Errorf("%s is a full name, not a tag", tag), "dray copy "+args[0]+" "+tag+" copies it there")
			}
		}
		renamed, err := f.read(cmd)
		if err != nil {
			return err
		}
		login, err := a.oneLogin(cmd.Context(), a.targetLogin, a.sourceLogin)
		if err != nil {
			return err
		}
		req := dray.TagRequest{Image: args[0], Tags: args[1:], Map: renamed, Hold: f.hold(), Login: login}
		return a.write(cmd, writing{
			past: "tagged", many: len(renamed.Pairs)+len(renamed.Rename) > 0, dryRun: dryRun, hold: req.Hold, ask: asks(tagJSON(req, f.renames)),
			plan: func(ctx context.Context, d *dray.Dray, tell event.Observer) (*dray.Plan, error) {
				return d.PlanTag(ctx, req, tell)
			},
		})
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.addTo(flags)
	flags.BoolVar(&dryRun, "dry-run", false, "print what would be done, write nothing")
	a.common.addHandOverTo(flags)
	a.common.addRegistryTo(flags)
	return cmd
}

// oneLogin is the login of a command that has one side only: the first that was given.
func (a *app) oneLogin(ctx context.Context, ways ...func(context.Context) (*credential.Login, error)) (*credential.Login, error) {
	for _, way := range ways {
		if l, err := way(ctx); l != nil || err != nil {
			return l, err
		}
	}
	return nil, nil
}
