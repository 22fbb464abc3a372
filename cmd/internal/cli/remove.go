package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// removing is one run of a command that removes.
type removing struct {
	what   dray.RemoveWhat
	dryRun bool
	yes    bool
	login  *credential.Login
	images func(*dray.Dray) ([]string, error) // full names
}

func newRemove(a *app) *cobra.Command {
	var manifest bool
	var r removing
	cmd := &cobra.Command{
		Use:   "rm IMAGE...",
		Short: "Remove a tag, or a manifest with all its tags",
		Long: "Remove tags; what they point to stays, and so do its other tags. With --manifest remove what each\n" +
			"IMAGE points to, with all its tags: they are named first, and you are asked. Registries free\n" +
			"the room in their own time; some, such as Docker Hub, remove nothing in this way.",
		Example: "  dray rm registry.example/app:pr-17 registry.example/app:pr-18\n" +
			"  dray rm --manifest registry.example/app@sha256:... --dry-run\n" +
			"  dray rm --manifest --yes prod/app:v1",
		Args: atLeast(1, "one or more images"),
		RunE: func(cmd *cobra.Command, args []string) error {
			login, err := a.oneLogin(cmd.Context(), a.targetLogin, a.sourceLogin)
			if err != nil {
				return err
			}
			r.what, r.login = dray.RemoveTag, login
			if manifest {
				r.what = dray.RemoveManifest
			}
			r.images = func(*dray.Dray) ([]string, error) { return args, nil }
			return a.remove(cmd, r)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&manifest, "manifest", false, "remove the manifest with all its tags, not the tag alone")
	flags.BoolVarP(&r.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&r.dryRun, "dry-run", false, "say what would be removed, remove nothing")
	a.common.addRegistryTo(flags)
	return cmd
}

func newUntag(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "untag -n REGISTRY --image REPO:TAG",
		Short:   "Remove a tag; what it points to stays",
		Long:    "Remove a tag and leave what it points to, as az acr repository untag does. dray rm does the same.",
		Example: "  dray repository untag -n prod --image app:pr-17",
	}
	return a.azRemoval(cmd, dray.RemoveTag)
}

func newRepositoryDelete(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete -n REGISTRY --image REPO[:TAG|@DIGEST]",
		Short: "Remove a manifest with all its tags",
		Long: "Remove what an image's name points to, with all its tags, as az acr repository delete does: they\n" +
			"are named first, and you are asked. Whole repositories are not removed. dray rm --manifest does\n" +
			"the same.",
		Example: "  dray repository delete -n prod --image app:v1\n" +
			"  dray repository delete -n prod --image app@sha256:... --yes",
	}
	return a.azRemoval(cmd, dray.RemoveManifest)
}

// azRemoval gives cmd az's flags for removing one image.
func (a *app) azRemoval(cmd *cobra.Command, what dray.RemoveWhat) *cobra.Command {
	var f azFlags
	var image, repository string
	r := removing{what: what}
	cmd.Args = exactly(0, "the image after --image")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case repository != "":
			return usageError(cmd, errors.New("dray removes no whole repository"), "name an image with --image")
		case image == "":
			return usageError(cmd, errors.New("--image is missing"), "name an image")
		}
		if err := f.settle(&a.how, cmd); err != nil {
			return err
		}
		var err error
		if r.login, err = a.azLogin(cmd, &f); err != nil {
			return err
		}
		r.images = func(d *dray.Dray) ([]string, error) {
			name, err := f.full(a.IO.Env, d, image)
			if _, last, _ := strings.Cut(image, "/"); err == nil && !strings.ContainsAny(last, ":@") && !strings.ContainsAny(image, ":@") {
				name += ":latest" // as az reads it
			}
			return []string{name}, err
		}
		return a.remove(cmd, r)
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.addTo(flags, "name", "n")
	flags.StringVarP(&image, "image", "t", "", "the `IMAGE` to remove")
	if what == dray.RemoveManifest {
		flags.StringVar(&repository, "repository", "", "`REPO`: refused, whole repositories are not removed")
		flags.BoolVarP(&r.yes, "yes", "y", false, "do not ask")
	}
	flags.BoolVar(&r.dryRun, "dry-run", false, "say what would be removed, remove nothing")
	a.common.addRegistryTo(flags)
	return cmd
}

// removedImage is one image that was to be removed, and what became of it.
type removedImage struct {
	Name   string          `json:"name"`
	What   dray.RemoveWhat `json:"what"`
	Digest oci.Digest      `json:"digest,omitempty"`
	Tags   []string        `json:"tags,omitempty"` // that go
	State  string          `json:"state"`          // "planned", "removed", "failed"
	Error  *dray.Problem   `json:"error,omitempty"`

	plan dray.Removal
}

// removed is the answer of the commands that remove.
type removed struct {
	Images []removedImage `json:"images"`
}

func (a *app) remove(cmd *cobra.Command, r removing) error {
	asks := r.what == dray.RemoveManifest && !r.yes && !r.dryRun
	if asks && a.IO.Terminal.Password == nil {
		return usageError(cmd, errors.New("there is nobody to ask"), "--yes removes without asking, --dry-run only says what it would")
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := r.images(d)
	if err != nil {
		return err
	}
	s := a.newStory()
	defer s.end()
	ctx := cmd.Context()
	all, failures := a.planRemovals(ctx, d, r, names, s)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if asks && len(failures) < len(all) {
		s.end()
		a.tellRemovals(all)
		if sure, err := a.confirm(ctx); err != nil || !sure {
			a.warn("nothing was removed")
			return ended(exitFailed)
		}
	}
	if !r.dryRun {
		failures = append(failures, a.removeAll(ctx, d, all, s)...)
	}
	s.end()
	if err := a.printRemoved(removed{all}); err != nil {
		return err
	}
	return a.endRemoval(ctx, r, all, failures)
}

// planRemovals finds out what goes, each image on its own. One that is named twice goes once.
func (a *app) planRemovals(ctx context.Context, d *dray.Dray, r removing, names []string, s *story) (all []removedImage, failures []error) {
	seen := map[string]bool{}
	for _, name := range names {
		p, err := patiently(ctx, grace, func() (dray.Removal, error) {
			return d.PlanRemove(ctx, dray.RemoveRequest{Image: name, What: r.what, Login: r.login}, s.observe)
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
	p := dray.ProblemOf(err)
	m.State, m.Error = "failed", &p
}

// tellRemovals names manifests with all that goes with them.
func (a *app) tellRemovals(all []removedImage) {
	for _, m := range all {
		switch {
		case m.State != "planned":
		case len(m.Tags) == 0:
			a.warn("%s has no tag", m.plan.Image.Repo.At(string(m.Digest)))
		default:
			a.warn("%s goes with %s: %s", m.plan.Image.Repo.At(string(m.Digest)), plural(len(m.Tags), "tag"), strings.Join(m.Tags, ", "))
		}
	}
}

// confirm asks a person on stderr, so that stdout stays the answer. Anything but yes is no.
func (a *app) confirm(ctx context.Context) (bool, error) {
	io.WriteString(a.err, "Remove? [y/N] ")
	line, err := patiently(ctx, 0, func() (string, error) {
		return bufio.NewReader(io.LimitReader(a.IO.In, 4096)).ReadString('\n')
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(line))), nil
}

// removeAll removes what is planned, one after the other.
func (a *app) removeAll(ctx context.Context, d *dray.Dray, all []removedImage, s *story) (failures []error) {
	for i := range all {
		if all[i].State != "planned" {
			continue
		}
		if ctx.Err() != nil {
			return failures
		}
		_, err := patiently(ctx, grace, func() (struct{}, error) { return struct{}{}, d.Remove(ctx, all[i].plan, s.observe) })
		if err != nil {
			failures = append(failures, err)
			all[i].fail(err)
			continue
		}
		all[i].State = "removed"
	}
	return failures
}

func (a *app) printRemoved(r removed) error {
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
	return a.print(answer{
		json: func() error { return a.printJSON(r) },
		text: func() error {
			return each(func(m removedImage) error {
				for _, tag := range m.Tags {
					if _, err := fmt.Fprintln(a.out, withDigest(m.plan.Image.Repo.Tagged(tag).String(), string(m.Digest))); err != nil {
						return err
					}
				}
				if m.What == dray.RemoveTag {
					return nil
				}
				_, err := fmt.Fprintln(a.out, m.plan.Image.Repo.At(string(m.Digest)))
				return err
			})
		},
		header: []string{"REPOSITORY", "DIGEST", "TAGS", "STATE"},
		rows: func(row func(...string) error) error {
			return each(func(m removedImage) error {
				return row(m.plan.Image.Repo.String(), string(m.Digest), strings.Join(m.Tags, ","), m.State)
			})
		},
	})
}

// endRemoval tells how it ended.
func (a *app) endRemoval(ctx context.Context, r removing, all []removedImage, failures []error) error {
	done := 0
	for _, m := range all {
		if m.State == "removed" || m.State == "planned" && r.dryRun {
			done++
		}
	}
	interrupted := ctx.Err() != nil
	for _, err := range failures {
		if !interrupted || !fault.Is(err, fault.Canceled) {
			a.fail(err)
		}
	}
	what := map[dray.RemoveWhat]string{dray.RemoveTag: "tag", dray.RemoveManifest: "manifest"}[r.what]
	switch {
	case interrupted:
		a.warn("interrupted: %d of %s removed", done, plural(len(all), what))
		return ended(exitInterrupted)
	case r.dryRun && !a.quiet:
		a.warn("would remove %s", plural(done, what))
	case done > 0 && !a.quiet:
		a.warn("removed %s", plural(done, what))
	}
	if len(failures) == 0 {
		return nil
	}
	return ended(exitOf(done, failures))
}
