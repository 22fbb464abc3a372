package moving

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/query"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// removing holds what one run of a command that removes is to do.
type removing struct {
	what   dray.RemoveWhat
	dryRun bool
	yes    bool
	login  *credential.Login
	search *query.Query                       // what of az's answer to print; nil prints dray's own
	images func(*dray.Dray) ([]string, error) // full names
}

// NewRemove makes the command dray rm.
func NewRemove(a *app.App) *cobra.Command {
	var manifest bool
	var r removing
	cmd := &cobra.Command{
		Use:   "rm IMAGE...",
		Short: "Remove a tag, or a manifest with all its tags",
		Long: "Remove tags. The manifest that a tag points to stays, and so do its other tags.\n\n" +
			"With --manifest, remove the manifest that each IMAGE points to, with all its tags.\n\n" +
			"dray names what it will remove and asks you first. Where it cannot ask, because there is no terminal, it " +
			"needs --yes.\n\n" +
			"Registries free the space later, when they collect garbage. Some registries, such as Docker Hub, " +
			"do not support removal through the API that dray uses.",
		Example: "  dray rm --yes registry.example/app:pr-17 registry.example/app:pr-18\n" +
			"  dray rm --manifest registry.example/app@sha256:... --dry-run\n" +
			"  dray rm --manifest --yes prod/app:v1",
		Args: flag.AtLeast(1, "one or more images"),
		RunE: func(cmd *cobra.Command, args []string) error {
			login, err := a.OneLogin(cmd.Context(), a.TargetLogin, a.SourceLogin)
			if err != nil {
				return err
			}
			r.what, r.login = dray.RemoveTag, login
			if manifest {
				r.what = dray.RemoveManifest
			}
			r.images = func(*dray.Dray) ([]string, error) { return args, nil }
			return remove(a, cmd, r)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&manifest, "manifest", false, "remove the manifest with all its tags, not only the tag")
	flags.BoolVarP(&r.yes, "yes", "y", false, "remove without asking")
	flags.BoolVar(&r.dryRun, "dry-run", false, "print what would be removed and remove nothing")
	a.Common.AddRegistryTo(flags, flag.AtTarget)
	return cmd
}

// NewUntag makes the command dray repository untag.
func NewUntag(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "untag -n REGISTRY --image REPO:TAG",
		Short: "Remove a tag and keep its manifest",
		Long: "Remove a tag and keep the manifest that it points to, as az acr repository untag does. dray rm " +
			"does the same.",
		Example: "  dray repository untag -n prod --image app:pr-17",
	}
	return azRemoval(a, cmd, dray.RemoveTag)
}

// NewRepositoryDelete makes the command dray repository delete.
func NewRepositoryDelete(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete -n REGISTRY --image REPO[:TAG|@DIGEST]",
		Short: "Remove a manifest with all its tags",
		Long: "Remove the manifest that the name of an image points to, with all its tags, as az acr repository " +
			"delete does. dray lists these tags and asks you first. dray rm --manifest does the same. dray does " +
			"not remove whole repositories.",
		Example: "  dray repository delete -n prod --image app:v1\n" +
			"  dray repository delete -n prod --image app@sha256:... --yes",
	}
	return azRemoval(a, cmd, dray.RemoveManifest)
}

// NewManifestDelete makes the command dray manifest delete.
func NewManifestDelete(a *app.App) *cobra.Command {
	var f flag.Az
	var image string
	r := removing{what: dray.RemoveManifest}
	cmd := &cobra.Command{
		Use:   "delete IMAGE | delete -r REGISTRY -n REPO[:TAG|@DIGEST]",
		Short: "Remove a manifest with all its tags",
		Long: "Remove the manifest that the name of an image points to, with all its tags, as az acr manifest delete " +
			"does. dray lists these tags and asks you first. dray rm --manifest does the same.",
		Example: "  dray manifest delete prod.azurecr.io/app:v1\n" +
			"  dray manifest delete -r prod -n app@sha256:... --yes",
		Args: flag.Optional("one IMAGE, or -r and -n"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 1 && (image != "" || f.Registry != ""):
			return flag.UsageError(cmd, errors.New("the name is given twice"), "write either HOST/REPO, or -r and -n")
		case len(args) == 0 && image == "":
			return flag.UsageError(cmd, errors.New("no name given"), "write HOST/REPO, or -r REGISTRY and -n REPO")
		}
		r.images = func(d *dray.Dray) ([]string, error) {
			if len(args) == 1 {
				return []string{flag.Latest(args[0])}, nil
			}
			name, err := f.Full(a.IO.Env, d, a.Note, flag.Latest(image))
			return []string{name}, err
		}
		return azRemove(a, cmd, &f, r)
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.AddTo(flags, "registry", "r", "DRAY_DST_CREDS")
	f.AddQueryTo(flags)
	flags.StringVarP(&image, "name", "n", "", "the image `REPO[:TAG|@DIGEST]` in that registry (default tag latest)")
	flags.BoolVarP(&r.yes, "yes", "y", false, "remove without asking")
	flags.BoolVar(&r.dryRun, "dry-run", false, "print what would be removed and remove nothing")
	a.Common.AddRegistryTo(flags, flag.AtTarget)
	return cmd
}

// azRemove removes with the login and the query of az's flags.
func azRemove(a *app.App, cmd *cobra.Command, f *flag.Az, r removing) error {
	err := f.Settle(&a.How, cmd)
	if err != nil {
		return err
	}
	r.search = f.Search
	if r.login, err = a.AzLogin(cmd, f, a.TargetLogin, a.SourceLogin); err != nil {
		return err
	}
	return remove(a, cmd, r)
}

// azRemoval gives cmd az's flags for the removal of one image, and runs it.
func azRemoval(a *app.App, cmd *cobra.Command, what dray.RemoveWhat) *cobra.Command {
	var f flag.Az
	var image, repository string
	r := removing{what: what, yes: what == dray.RemoveTag} // az asks only before it removes a manifest
	cmd.Args = flag.Exactly(0, "the image after --image")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case repository != "":
			return flag.UsageError(cmd, errors.New("dray does not remove whole repositories"), "name an image with --image")
		case image == "":
			return flag.UsageError(cmd, errors.New("--image is missing"), "name an image with --image")
		}
		r.images = func(d *dray.Dray) ([]string, error) {
			name, err := f.Full(a.IO.Env, d, a.Note, flag.Latest(image))
			return []string{name}, err
		}
		return azRemove(a, cmd, &f, r)
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.AddTo(flags, "name", "n", "DRAY_DST_CREDS")
	f.AddQueryTo(flags)
	removes := "remove the tag of this `IMAGE`"
	if what == dray.RemoveManifest {
		removes = "remove the manifest of this `IMAGE`, with all its tags"
	}
	flags.StringVarP(&image, "image", "t", "", removes)
	if what == dray.RemoveManifest {
		flags.StringVar(&repository, "repository", "", "refused, since dray does not remove a whole `REPO`")
		flags.BoolVarP(&r.yes, "yes", "y", false, "remove without asking")
	}
	flags.BoolVar(&r.dryRun, "dry-run", false, "print what would be removed and remove nothing")
	a.Common.AddRegistryTo(flags, flag.AtTarget)
	return cmd
}

// removedImage is the result for one image that was to be removed.
type removedImage struct {
	Name   string          `json:"name"`
	What   dray.RemoveWhat `json:"what"`
	Digest oci.Digest      `json:"digest,omitempty"`
	Tags   []string        `json:"tags,omitempty"` // that are removed
	State  string          `json:"state"`          // "planned", "removed", "failed"
	Error  *plan.Problem   `json:"error,omitempty"`

	plan dray.Removal
}

// removed is the answer of the commands that remove.
type removed struct {
	Images []removedImage `json:"images"`
}

func remove(a *app.App, cmd *cobra.Command, r removing) error {
	asks := !r.yes && !r.dryRun
	if asks && a.IO.Terminal.Hide == nil {
		return flag.UsageError(cmd, errors.New("no terminal to ask on"),
			"use --yes to remove without asking, or --dry-run to see what would be removed")
	}
	d, err := a.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := r.images(d)
	if err != nil {
		return err
	}
	s := a.NewStory()
	defer s.End()
	ctx := cmd.Context()
	all, failures := planRemovals(ctx, d, r, names, s)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if asks && len(failures) < len(all) {
		s.End()
		tellRemovals(a, all)
		switch sure, err := confirm(ctx, a); {
		case err != nil:
			return err
		case !sure:
			a.Warnf("nothing was removed")
			return out.Ended(out.ExitFailed)
		}
	}
	if !r.dryRun {
		failures = append(failures, removeAll(ctx, d, all, r.login, s)...)
	}
	s.End()
	printing := func() error { return printRemoved(a, removed{all}) }
	if r.search != nil {
		printing = func() error { return a.PrintAz(flag.AzFormat(cmd, a.Format), r.search, azRemoved(all)) }
	}
	if err := printing(); err != nil {
		return err
	}
	return endRemoval(ctx, a, r, all, failures)
}

// planRemovals finds out what the removal of each image removes. An image that is named twice is planned
// once.
func planRemovals(
	ctx context.Context, d *dray.Dray, r removing, names []string, s *out.Story,
) (all []removedImage, failures []error) {
	seen := map[string]bool{}
	for _, name := range names {
		s.Far("reading " + name)
		p, err := app.Patiently(ctx, app.Grace, func() (dray.Removal, error) {
			return d.PlanRemove(ctx, dray.RemoveRequest{Image: name, What: r.what, Login: r.login}, s.Observe)
		})
		one := removedImage{plan: p, Name: name, What: r.what, Digest: p.Digest, Tags: p.Tags, State: "planned"}
		key := name
		if err == nil {
			one.Name = p.Image.String()
			key = one.Name
			if r.what == dray.RemoveManifest {
				key = p.Image.Repo.At(string(p.Digest)).String()
			}
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		if err != nil {
			failures = append(failures, err)
			one.fail(err)
		}
		all = append(all, one)
	}
	return all, failures
}

func (m *removedImage) fail(err error) {
	m.State, m.Error = "failed", plan.ProblemOf(err)
}

// tellRemovals prints the tags that are removed, and the manifests, each with the tags that are removed with it.
func tellRemovals(a *app.App, all []removedImage) {
	for _, m := range all {
		name := m.plan.Image.Repo.At(string(m.Digest))
		switch {
		case m.State != "planned":
		case m.What == dray.RemoveTag:
			a.Warnf("%s will be removed; its manifest %s stays", m.plan.Image.Repo.Tagged(m.Tags[0]), m.Digest)
		case len(m.Tags) == 0:
			a.Warnf("%s has no tag", name)
		default:
			a.Warnf("%s will be removed with %s: %s", name, out.Plural(len(m.Tags), "tag"), strings.Join(m.Tags, ", "))
		}
	}
}

// confirm asks a person. Any reply but yes means no.
func confirm(ctx context.Context, a *app.App) (bool, error) {
	line, err := a.Ask(ctx, app.Question{Text: "Remove? [y/N] ", Op: "read the answer",
		Hint: "use --yes to remove without asking"})
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(line))), err
}

// removeAll removes the images that are planned, one after the other.
func removeAll(
	ctx context.Context, d *dray.Dray, all []removedImage, login *credential.Login, s *out.Story,
) (failures []error) {
	for i := range all {
		if all[i].State != "planned" {
			continue
		}
		if ctx.Err() != nil {
			return failures
		}
		s.Far("removing " + all[i].Name)
		_, err := app.Patiently(ctx, app.Grace, func() (struct{}, error) {
			return struct{}{}, d.Remove(ctx, all[i].plan, login, s.Observe)
		})
		if err != nil {
			failures = append(failures, err)
			all[i].fail(err)
			continue
		}
		all[i].State = "removed"
	}
	return failures
}

// azRemoved returns what az acr repository delete prints.
func azRemoved(all []removedImage) any {
	answer := map[string][]string{"manifestsDeleted": {}, "tagsDeleted": {}}
	for _, m := range all {
		if m.State == "failed" {
			continue
		}
		if m.What == dray.RemoveManifest {
			answer["manifestsDeleted"] = append(answer["manifestsDeleted"], string(m.Digest))
		}
		answer["tagsDeleted"] = append(answer["tagsDeleted"], m.Tags...)
	}
	return answer
}

func printRemoved(a *app.App, r removed) error {
	each := func(visit func(m removedImage) error) error {
		for _, m := range r.Images {
			if m.State == "failed" {
				continue
			}
			if err := visit(m); err != nil {
				return err
			}
		}
		return nil
	}
	return a.Print(out.Answer{
		JSON: func() error { return a.PrintJSON(r) },
		Text: func() error {
			return each(func(m removedImage) error {
				for _, tag := range m.Tags {
					line := out.WithDigest(m.plan.Image.Repo.Tagged(tag).String(), string(m.Digest))
					if err := a.Println(line); err != nil {
						return err
					}
				}
				if m.What == dray.RemoveTag {
					return nil
				}
				return a.Println(m.plan.Image.Repo.At(string(m.Digest)))
			})
		},
		Header: []string{"REPOSITORY", "DIGEST", "TAGS", "STATE"},
		Rows: func(row func(...string) error) error {
			return each(func(m removedImage) error {
				return row(m.plan.Image.Repo.String(), string(m.Digest), strings.Join(m.Tags, ","), m.State)
			})
		},
	})
}

// endRemoval prints errors and a summary, and returns the exit code.
func endRemoval(ctx context.Context, a *app.App, r removing, all []removedImage, failures []error) error {
	done := 0
	for _, m := range all {
		if m.State == "removed" || m.State == "planned" && r.dryRun {
			done++
		}
	}
	interrupted := ctx.Err() != nil
	for _, err := range failures {
		if !interrupted || !fault.Is(err, fault.Canceled) {
			a.Fail(err)
		}
	}
	what := map[dray.RemoveWhat]string{dray.RemoveTag: "tag", dray.RemoveManifest: "manifest"}[r.what]
	switch {
	case interrupted:
		a.Warnf("interrupted: %d of %s removed", done, out.Plural(len(all), what))
		return out.Ended(out.ExitInterrupted)
	case r.dryRun && !a.Quiet:
		a.Warnf("would remove %s", out.Plural(done, what))
	case done > 0 && !a.Quiet:
		a.Warnf("removed %s", out.Plural(done, what))
	}
	if len(failures) == 0 {
		return nil
	}
	return out.Ended(out.ExitOf(done, failures))
}
