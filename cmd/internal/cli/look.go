package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/oci"
)

// looking runs one verb that only reads: it has a story, no plan and no report.
func looking[T any](a *app, cmd *cobra.Command, name string, look func(context.Context, *dray.Dray, dray.LookRequest, *story) (T, error)) (T, error) {
	login, err := a.oneLogin(cmd.Context(), a.sourceLogin, a.targetLogin)
	if err != nil {
		var none T
		return none, err
	}
	return lookingAs(a, cmd, name, login, look)
}

// lookingAs is looking with a login that was found already; nil leaves the search to dray.
func lookingAs[T any](a *app, cmd *cobra.Command, name string, login *credential.Login, look func(context.Context, *dray.Dray, dray.LookRequest, *story) (T, error)) (T, error) {
	var none T
	d, err := a.open()
	if err != nil {
		return none, err
	}
	defer d.Close()
	s := a.newStory()
	defer s.end()
	ctx := cmd.Context()
	return patiently(ctx, grace, func() (T, error) { return look(ctx, d, dray.LookRequest{Name: name, Login: login}, s) })
}

// described is a name and the descriptor of what it points to.
type described struct {
	Name string `json:"name"`
	oci.Descriptor
}

func newDigest(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "digest IMAGE",
		Short:   "Print the digest of an image",
		Long:    "Print the digest that a name points to. It costs one HEAD request.",
		Example: "  dray digest nginx:1.27\n  dray digest prod/app:v1 -o json",
		Args:    exactly(1, "IMAGE"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		desc, err := looking(a, cmd, args[0], func(ctx context.Context, d *dray.Dray, req dray.LookRequest, s *story) (oci.Descriptor, error) {
			return d.Digest(ctx, req, s.observe)
		})
		if err != nil {
			return err
		}
		return a.print(answer{
			json:   func() error { return a.printJSON(described{args[0], desc}) },
			text:   func() error { _, err := fmt.Fprintln(a.out, desc.Digest); return err },
			header: []string{"NAME", "DIGEST"},
			rows:   func(row func(...string) error) error { return row(args[0], string(desc.Digest)) },
		})
	}
	a.common.addRegistryTo(cmd.Flags())
	return cmd
}

func newManifest(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "manifest IMAGE",
		Short: "Print an image's manifest or index, byte for byte",
		Long: "Print the manifest or index that a name points to, byte for byte, in every output format. The\n" +
			"commands below are those of az acr manifest.",
		Example: "  dray manifest nginx:1.27 | jq .manifests\n  dray manifest prod/app@sha256:... | sha256sum",
		Args:    exactly(1, "IMAGE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.printManifest(cmd, args[0]) },
	}
	cmd.AddCommand(newManifestShow(a), newListMetadata(a))
	a.common.addRegistryTo(cmd.Flags())
	return cmd
}

func (a *app) printManifest(cmd *cobra.Command, name string) error {
	doc, err := looking(a, cmd, name, func(ctx context.Context, d *dray.Dray, req dray.LookRequest, s *story) (oci.Document, error) {
		return d.Manifest(ctx, req, s.observe)
	})
	if err == nil && a.format != formatNone {
		_, err = a.out.Write(doc.Raw)
	}
	return err
}

func newInspect(a *app) *cobra.Command {
	var raw, config bool
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show platforms, sizes, layers, annotations and age of an image",
		Long: "Show what is in an image: digest, size, platforms with their layers, annotations and when it\n" +
			"was made. Layers of an index are listed with --verbose.",
		Example: "  dray inspect nginx:1.27\n" +
			"  dray inspect prod/app:v1 -o json | jq -r '.platforms[].platform'\n" +
			"  dray inspect --image-config prod/app:v1 | jq .config.Env",
		Args: exactly(1, "IMAGE"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case raw && config:
			return usageError(cmd, errors.New("--raw and --image-config both given"), "keep one of them")
		case raw:
			return a.printManifest(cmd, args[0])
		case config:
			b, err := looking(a, cmd, args[0], func(ctx context.Context, d *dray.Dray, req dray.LookRequest, s *story) ([]byte, error) {
				return d.ImageConfig(ctx, req, s.observe)
			})
			if err == nil && a.format != formatNone {
				_, err = a.out.Write(b)
			}
			return err
		}
		image, err := looking(a, cmd, args[0], func(ctx context.Context, d *dray.Dray, req dray.LookRequest, s *story) (dray.Image, error) {
			return d.Inspect(ctx, req, s.observe)
		})
		if err != nil {
			return err
		}
		return a.printImage(image)
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&raw, "raw", false, "print the manifest or index, byte for byte")
	flags.BoolVar(&config, "image-config", false, "print the image's configuration, byte for byte")
	a.common.addRegistryTo(flags)
	return cmd
}

func (a *app) printImage(m dray.Image) error {
	return a.print(answer{
		json:   func() error { return a.printJSON(m) },
		text:   func() error { return a.describe(m) },
		header: []string{"PLATFORM", "DIGEST", "SIZE", "LAYERS", "CREATED"},
		rows: func(row func(...string) error) error {
			for _, v := range m.Platforms {
				if err := row(v.Platform, string(v.Digest), fmt.Sprint(v.Size), fmt.Sprint(len(v.Layers)), created(v)); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// describe writes an image for people.
func (a *app) describe(m dray.Image) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s:\t%s\n", name, oneLine(value))
		}
	}
	field("Name", m.Name.String())
	field("Digest", string(m.Digest))
	field("Type", m.MediaType)
	field("Artifact", m.Artifact)
	field("Subject", string(m.Subject))
	field("Size", size(m.Total))
	for _, key := range sortedKeys(m.Annotations) {
		field("Annotation", key+"="+m.Annotations[key])
	}
	for _, d := range m.Foreign {
		field("Foreign", fmt.Sprintf("%s %s", d.Digest, size(d.Size)))
	}
	if err := w.Flush(); err != nil || len(m.Platforms) == 0 {
		return err
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "PLATFORM\tDIGEST\tSIZE\tLAYERS\tCREATED")
	for _, v := range m.Platforms {
		platform := v.Platform
		if platform == "" {
			platform = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", oneLine(platform), v.Digest, size(v.Size), len(v.Layers), created(v))
		if len(m.Platforms) > 1 && !a.verbose {
			continue
		}
		for _, l := range v.Layers {
			fmt.Fprintf(w, "  layer\t%s\t%s\n", l.Digest, size(l.Size))
		}
	}
	return w.Flush()
}

func created(v dray.Variant) string {
	if v.Created == nil {
		return "-"
	}
	return v.Created.UTC().Format(time.RFC3339)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func newList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls HOST | HOST/PREFIX/ | HOST/REPO | oci:DIR",
		Short: "List repositories, or the tags of one with their digests",
		Long: "List the repositories of a registry, those below a prefix (with a slash at the end), or the\n" +
			"tags of one repository with their digests.",
		Example: "  dray ls registry.example\n" +
			"  dray ls registry.example/team/\n" +
			"  dray ls prod/app -o table",
		Args: exactly(1, "HOST, HOST/PREFIX/ or HOST/REPO"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.list(cmd, args[0]) },
	}
	a.common.addRegistryTo(cmd.Flags())
	return cmd
}

// list prints entries as they come, so that a long list needs no memory; a table waits for its widths.
func (a *app) list(cmd *cobra.Command, name string) error {
	failed := []error{}
	good := 0
	each := func(visit func(dray.Entry) error) error {
		_, err := looking(a, cmd, name, func(ctx context.Context, d *dray.Dray, req dray.LookRequest, s *story) (struct{}, error) {
			return struct{}{}, d.List(ctx, req, s.observe, func(e dray.Entry) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if e.Err != nil {
					failed = append(failed, e.Err)
				} else {
					good++
				}
				return visit(e)
			})
		})
		return err
	}
	err := a.print(answer{
		json: func() error { return a.listJSON(each) },
		text: func() error {
			return each(func(e dray.Entry) error {
				_, err := fmt.Fprintln(a.out, withDigest(e.Name, string(e.Digest)))
				return err
			})
		},
		header: []string{"NAME", "TAG", "DIGEST"},
		rows: func(row func(...string) error) error {
			return each(func(e dray.Entry) error { return row(e.Name, e.Tag, string(e.Digest)) })
		},
	})
	if err != nil {
		return err
	}
	for _, err := range failed {
		a.fail(err)
	}
	if len(failed) > 0 {
		return ended(exitOf(good, failed))
	}
	return nil
}

// listJSON writes {"entries":[…]}, entry by entry, and closes it with the error that ended it early.
func (a *app) listJSON(each func(func(dray.Entry) error) error) error {
	sep := "{\"entries\":["
	err := each(func(e dray.Entry) error {
		b, err := json.Marshal(e)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s\n  %s", sep, b)
		sep = ","
		return err
	})
	if sep != "," {
		if err != nil {
			return err // nothing is written yet: the error is the answer
		}
		fmt.Fprint(a.out, sep)
	}
	if err == nil {
		_, err = fmt.Fprintln(a.out, "\n]}")
		return err
	}
	b, jerr := json.Marshal(dray.ProblemOf(err))
	if jerr != nil {
		return jerr
	}
	fmt.Fprintf(a.out, "\n],\"error\":%s}\n", b)
	a.fail(err)
	return ended(exitCode(err))
}
