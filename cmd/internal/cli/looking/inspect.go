package looking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
)

// NewInspect makes the command dray inspect.
func NewInspect(a *app.App) *cobra.Command {
	var raw, config bool
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show platforms, sizes, layers, annotations and age of an image",
		Long: "Show what is in an image: its digest, size and annotations, its platforms with their layers, and " +
			"when it was created. With --verbose, dray lists the layers of each platform of an index, too.",
		Example: "  dray inspect nginx:1.27\n" +
			"  dray inspect prod/app:v1 -o json | jq -r '.platforms[].platform'\n" +
			"  dray inspect --image-config prod/app:v1 | jq .config.Env",
		Args: flag.Exactly(1, "one image, such as HOST/REPO:TAG"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case raw && config:
			return flag.UsageError(cmd, errors.New("--raw and --image-config both given"), "keep one of them")
		case raw:
			return printManifest(a, cmd, args[0])
		case config:
			b, err := looking(a, cmd, args[0], func(ctx context.Context, v view) ([]byte, error) {
				return v.dray.ImageConfig(ctx, v.req, v.tell)
			})
			if err == nil && a.Format != out.FormatNone {
				_, err = a.Out.Write(b)
			}
			return err
		}
		image, err := looking(a, cmd, args[0], func(ctx context.Context, v view) (dray.Image, error) {
			return v.dray.Inspect(ctx, v.req, v.tell)
		})
		if err != nil {
			return err
		}
		return printImage(a, image)
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&raw, "raw", false, "print the manifest or index, byte for byte")
	flags.BoolVar(&config, "image-config", false, "print the image's configuration, byte for byte")
	a.Common.AddRegistryTo(flags, flag.AtSource)
	return cmd
}

func printImage(a *app.App, m dray.Image) error {
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(m) },
		Text:   func() error { return describe(a, m) },
		Header: []string{"PLATFORM", "DIGEST", "SIZE", "LAYERS", "CREATED"},
		Rows: func(row func(...string) error) error {
			for _, v := range m.Platforms {
				size, layers := strconv.FormatInt(v.Size, 10), strconv.Itoa(len(v.Layers))
				if err := row(v.Platform, string(v.Digest), size, layers, created(v)); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// describe writes an image in the format text.
func describe(a *app.App, m dray.Image) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s:\t%s\n", name, out.OneLine(value))
		}
	}
	field("Name", m.Name.String())
	field("Digest", string(m.Digest))
	field("Type", m.MediaType)
	field("Artifact", m.Artifact)
	field("Subject", string(m.Subject))
	field("Size", out.Size(m.Total))
	for _, key := range sortedKeys(m.Annotations) {
		field("Annotation", key+"="+m.Annotations[key])
	}
	for _, d := range m.Foreign {
		field("Foreign", fmt.Sprintf("%s %s", d.Digest, out.Size(d.Size)))
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
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", out.OneLine(platform), v.Digest, out.Size(v.Size), len(v.Layers), created(v))
		if len(m.Platforms) > 1 && !a.Verbose {
			continue
		}
		for _, l := range v.Layers {
			fmt.Fprintf(w, "  layer\t%s\t%s\n", l.Digest, out.Size(l.Size))
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
