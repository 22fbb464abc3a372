package looking

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/query"
	"github.com/drayage/dray/oci"
)

func newManifestShow(a *app.App) *cobra.Command {
	var n azName
	var raw bool
	cmd := &cobra.Command{
		Use:   "show IMAGE | show -r REGISTRY -n REPO[:TAG|@DIGEST]",
		Short: "Show a manifest or index, as az acr manifest show does",
		Long: "Show the manifest or index that a name points to, as az acr manifest show does: as JSON with " +
			"sorted keys, or with --raw byte for byte. A query also finds the digest, which no manifest contains.",
		Example: "  dray manifest show prod.azurecr.io/app:v1\n" +
			"  dray manifest show -r prod -n app:v1 --query digest -o tsv\n" +
			"  dray manifest show -r prod -n app:v1 --raw | sha256sum",
		Args: flag.Optional("one IMAGE, or -r and -n"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := n.Settle(&a.How, cmd); err != nil {
				return err
			}
			return showManifest(a, cmd, args, n, raw)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	n.AddTo(flags, "registry", "r", "DRAY_SRC_CREDS")
	n.AddQueryTo(flags)
	flags.StringVarP(&n.name, "name", "n", "", "show `REPO[:TAG|@DIGEST]` in that registry (default tag latest)")
	flags.BoolVar(&raw, "raw", false, "print the manifest or index, byte for byte")
	a.Common.AddRegistryTo(flags, flag.AtSource)
	return cmd
}

func showManifest(a *app.App, cmd *cobra.Command, args []string, n azName, raw bool) error {
	name, full, err := n.typed(cmd, args)
	if err != nil {
		return err
	}
	login, err := a.AzLogin(cmd, &n.Az, a.SourceLogin, a.TargetLogin)
	if err != nil {
		return err
	}
	doc, err := lookingAs(a, cmd, name, login, func(ctx context.Context, v view) (doc oci.Document, err error) {
		if !full {
			if v.req.Name, err = n.Full(a.IO.Env, v.dray, v.tell, name); err != nil {
				return doc, err
			}
		}
		return v.dray.Manifest(ctx, v.req, v.tell)
	})
	switch as := flag.AzFormat(cmd, a.Format); {
	case err != nil:
		return err
	case as == out.FormatNone:
		return nil
	case raw || as == out.FormatText && n.Search == nil:
		err = a.PrintExact(doc.Raw)
		return err
	case n.Search != nil:
		// A manifest does not contain its digest. Scripts ask for it all the same, so it stands beside the keys.
		v, err := query.Decode(doc.Raw)
		if object, ok := v.(*query.Object); ok && err == nil {
			object.Set("digest", string(doc.Digest))
		}
		if err != nil {
			return err
		}
		return a.PrintFound(as, n.Search, v)
	default:
		return a.PrintAz(as, nil, json.RawMessage(doc.Raw))
	}
}

func newListMetadata(a *app.App) *cobra.Command {
	var n azName
	var l listing
	cmd := &cobra.Command{
		Use:   "list-metadata HOST/REPO | list-metadata -r REGISTRY -n REPO",
		Short: "List the manifests of a repository with their metadata",
		Long: "List the manifests of a repository with their digests, their tags and the other metadata that the " +
			"registry has, as az acr manifest list-metadata does. The format is JSON unless -o names another. " +
			"Manifests without a tag are listed if the registry can list them; if it cannot, a note on stderr " +
			"says so.",
		Example: "  dray manifest list-metadata prod.azurecr.io/app\n" +
			"  dray manifest list-metadata -r prod -n app --orderby time_asc \\\n" +
			"      --query \"[?tags[0]==null].digest\" -o tsv",
		Args: flag.Optional("one HOST/REPO, or -r and -n"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, full, err := n.typed(cmd, args)
			if err != nil {
				return err
			}
			l.Az, l.detail, l.whole = n.Az, true, full
			if err := l.check(a, cmd); err != nil {
				return err
			}
			return l.run(a, cmd, name, l.manifests)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	n.AddTo(flags, "registry", "r", "DRAY_SRC_CREDS")
	n.AddQueryTo(flags)
	flags.StringVarP(&n.name, "name", "n", "", "list this `REPO` in that registry")
	l.addTopTo(flags)
	l.addOrderTo(flags)
	a.Common.AddRegistryTo(flags, flag.AtSource)
	return cmd
}

// described is the answer of dray digest in JSON.
type described struct {
	Name string `json:"name"`
	oci.Descriptor
}

// NewDigest makes the command dray digest.
func NewDigest(a *app.App) *cobra.Command {
	var p oci.Platform
	cmd := &cobra.Command{
		Use:   "digest IMAGE",
		Short: "Print the digest of an image",
		Long: "Print the digest that a name points to. dray sends one HEAD request. With --platform, it reads the index " +
			"and prints the digest of the image for that platform.",
		Example: "  dray digest nginx:1.27\n  dray digest nginx:1.27 --platform linux/arm64\n" +
			"  dray digest prod/app:v1 -o json",
		Args: flag.Exactly(1, "one image, such as HOST/REPO:TAG"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		desc, err := looking(a, cmd, args[0], func(ctx context.Context, v view) (oci.Descriptor, error) {
			v.req.Platform = p
			return v.dray.Digest(ctx, v.req, v.tell)
		})
		if err != nil {
			return err
		}
		return a.Print(out.Answer{
			JSON:   func() error { return a.PrintJSON(described{args[0], desc}) },
			Text:   func() error { return a.Println(desc.Digest) },
			Header: []string{"NAME", "DIGEST"},
			Rows:   func(row func(...string) error) error { return row(args[0], string(desc.Digest)) },
		})
	}
	flag.AddPlatformTo(cmd.Flags(), &p)
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtSource)
	return cmd
}

// NewManifest makes the command dray manifest. removals are its commands that remove images.
func NewManifest(a *app.App, removals ...*cobra.Command) *cobra.Command {
	var p oci.Platform
	cmd := &cobra.Command{
		Use:   "manifest IMAGE",
		Short: "Print an image's manifest or index, byte for byte",
		Long: "Print the manifest or index that a name points to, byte for byte, whatever the output format. " +
			"The commands below are those of az acr manifest.",
		Example: "  dray manifest nginx:1.27 | jq .manifests\n" +
			"  dray manifest nginx:1.27 --platform linux/arm64 | jq .layers\n" +
			"  dray manifest prod/app@sha256:... | sha256sum",
		Args: flag.Exactly(1, "one image, such as HOST/REPO:TAG"),
		RunE: func(cmd *cobra.Command, args []string) error { return printManifest(a, cmd, args[0], p) },
	}
	cmd.AddCommand(newManifestShow(a), newListMetadata(a), newShowMetadata(a), newUpdateMetadata(a),
		newManifestList(a), newListReferrers(a))
	cmd.AddCommand(removals...)
	flag.AddPlatformTo(cmd.Flags(), &p)
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtSource)
	return cmd
}

func printManifest(a *app.App, cmd *cobra.Command, name string, p oci.Platform) error {
	doc, err := looking(a, cmd, name, func(ctx context.Context, v view) (oci.Document, error) {
		v.req.Platform = p
		return v.dray.Manifest(ctx, v.req, v.tell)
	})
	if err == nil && a.Format != out.FormatNone {
		err = a.PrintExact(doc.Raw)
	}
	return err
}
