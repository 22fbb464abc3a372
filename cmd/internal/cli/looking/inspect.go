package looking

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/oci"
)

// NewInspect makes the command dray inspect.
func NewInspect(a *app.App) *cobra.Command {
	var raw, config bool
	var p oci.Platform
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show platforms, sizes, layers, annotations and age of an image",
		Long: "Show what is in an image: its digest, size and annotations, its platforms with their layers, and " +
			"when it was created. With --verbose, dray lists the layers of each platform of an index, too.",
		Example: "  dray inspect nginx:1.27\n" +
			"  dray inspect prod/app:v1 -o json | jq -r '.platforms[].platform'\n" +
			"  dray inspect nginx:1.27 --platform linux/arm64\n" +
			"  dray inspect --image-config prod/app:v1 | jq .config.Env",
		Args: oneImage,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case raw && config:
			return flag.UsageError(cmd, errors.New("--raw and --image-config both given"), "keep one of them")
		case raw:
			return printManifest(a, cmd, args[0], p)
		case config:
			b, err := looking(a, cmd, args[0], func(ctx context.Context, v view) ([]byte, error) {
				v.req.Platform = p
				return v.dray.ImageConfig(ctx, v.req, v.tell)
			})
			if err == nil && a.Format != out.FormatNone {
				err = a.PrintExact(b)
			}
			return err
		}
		image, err := looking(a, cmd, args[0], func(ctx context.Context, v view) (dray.Image, error) {
			v.req.Platform = p
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
	flag.AddPlatformTo(flags, &p)
	a.Common.AddRegistryTo(flags, flag.AtSource)
	return cmd
}

// oneImage refuses any number of arguments but one. To skopeo, --config is a switch; to dray it takes a file.
func oneImage(cmd *cobra.Command, args []string) error {
	if file := cmd.Flag("config"); len(args) == 0 && file != nil && file.Changed {
		return flag.UsageError(cmd, errors.New("IMAGE is missing: --config names the configuration of dray, here "+
			file.Value.String()), "use "+shell.Dray("inspect", "--image-config", file.Value.String())+
			" for the config of an image")
	}
	return flag.Count(cmd, args, 1, 1, "one image, such as HOST/REPO:TAG")
}

func printImage(a *app.App, m dray.Image) error {
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(m) },
		Text:   func() error { return describe(a, m) },
		Header: []string{"PLATFORM", "DIGEST", "SIZE", "LAYERS", "CREATED"},
		Rows: func(row func(...string) error) error {
			return eachVariant(m.Platforms, func(v dray.Variant, _ int) error {
				platform := cmp.Or(v.Annotations[oci.AnnotationRole], v.Platform)
				return row(platform, string(v.Digest), strconv.FormatInt(v.Size, 10), layers(v), created(v))
			})
		},
	})
}

// describe writes an image in the format text.
func describe(a *app.App, m dray.Image) error {
	w := a.NewTab()
	field := func(name, value string) {
		if value != "" {
			w.Add(name+":", value)
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
	w.Add()
	w.Add("PLATFORM", "DIGEST", "SIZE", "LAYERS", "CREATED")
	verbose := a.Verbose || len(m.Platforms) == 1 && len(m.Platforms[0].Platforms) == 0
	err := eachVariant(m.Platforms, func(v dray.Variant, depth int) error {
		platform := cmp.Or(v.Annotations[oci.AnnotationRole], v.Platform, "-") // "unknown/unknown" says nothing
		if isIndex(v) && v.Platform == "" {
			platform = "index"
		}
		indent := strings.Repeat("  ", depth)
		w.Add(indent+platform, string(v.Digest), size(v), layers(v), created(v))
		if !verbose {
			return nil
		}
		for _, l := range v.Layers {
			w.Add(indent+"  layer", string(l.Digest), out.Size(l.Size))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// eachVariant calls visit with each of list and everything below it, parents first. depth is 0 for
// those in list.
func eachVariant(list []dray.Variant, visit func(v dray.Variant, depth int) error) error {
	var walk func(list []dray.Variant, depth int) error
	walk = func(list []dray.Variant, depth int) error {
		for _, v := range list {
			if err := visit(v, depth); err != nil {
				return err
			}
			if err := walk(v.Platforms, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(list, 0)
}

// size returns the size of an image, or that some or all of its content is missing.
func size(v dray.Variant) string {
	if v.Missing {
		return "missing"
	}
	return out.Size(v.Size)
}

func isIndex(v dray.Variant) bool {
	return v.MediaType == oci.TypeIndex || v.MediaType == oci.TypeDockerList
}

// layers returns the number of layers. An index has images and no layers.
func layers(v dray.Variant) string {
	if isIndex(v) {
		return "-"
	}
	return strconv.Itoa(len(v.Layers))
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
