package looking

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/oci"
)

// imageOrRepository holds the flags with which az acr repository names an image or a repository.
type imageOrRepository struct {
	flag.Az
	image, repository string
}

func (n *imageOrRepository) addTo(flags *pflag.FlagSet, creds string) {
	flags.SortFlags = false
	n.AddTo(flags, "name", "n", creds)
	n.AddQueryTo(flags)
	flags.StringVarP(&n.image, "image", "t", "", "the image `REPO[:TAG|@DIGEST]` (default tag latest)")
	flags.StringVar(&n.repository, "repository", "", "the repository `REPO`")
}

// path returns the image or the repository without the registry's host.
func (n *imageOrRepository) path(cmd *cobra.Command) (string, error) {
	switch {
	case (n.image == "") == (n.repository == ""):
		return "", flag.UsageError(cmd, errors.New("not one of --image and --repository given"),
			"name either an image or a repository")
	case n.image == "":
		return n.repository, nil
	}
	return flag.Latest(n.image), nil
}

func newRepositoryShow(a *app.App) *cobra.Command {
	var n imageOrRepository
	cmd := &cobra.Command{
		Use:   "show -n REGISTRY --image IMAGE | show -n REGISTRY --repository REPO",
		Short: "Show the digest and the attributes of an image, or a repository",
		Long: "Show what the registry knows of an image or a repository, as az acr repository show does. At an Azure " +
			"registry, that is its digest, its times and changeableAttributes, which say whether it is locked. " +
			"Elsewhere it is the digest of an image, and the number of tags of a repository.",
		Example: "  dray repository show -n prod --image app:v1 --query digest -o tsv\n" +
			"  dray repository show -n prod --image app:v1 \\\n" +
			"      --query changeableAttributes.writeEnabled",
		Args: flag.Exactly(0, "the image after --image"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := n.path(cmd)
			if err != nil {
				return err
			}
			return metadata{Az: &n.Az, name: path}.show(a, cmd)
		},
	}
	n.addTo(cmd.Flags(), "DRAY_SRC_CREDS")
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtSource)
	return cmd
}

func newRepositoryUpdate(a *app.App) *cobra.Command {
	var n imageOrRepository
	var e enabled
	cmd := &cobra.Command{
		Use:   "update -n REGISTRY --image IMAGE | update -n REGISTRY --repository REPO",
		Short: "Lock or unlock an image or a repository of Azure",
		Long: "Lock or unlock an image or a repository of an Azure registry, as az acr repository update does. Other " +
			"registries have no such locks, so dray refuses there. Without a flag that ends in -enabled, it shows what " +
			"dray repository show does.",
		Example: "  dray repository update -n prod --image app:v1 --write-enabled false\n" +
			"  dray repository update -n prod --repository app --delete-enabled true",
		Args: flag.Exactly(0, "the image after --image"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := n.path(cmd)
			if err != nil {
				return err
			}
			return metadata{Az: &n.Az, name: path, change: e.attributes()}.show(a, cmd)
		},
	}
	n.addTo(cmd.Flags(), "DRAY_DST_CREDS")
	e.addTo(cmd.Flags())
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtTarget)
	return cmd
}

func newShowMetadata(a *app.App) *cobra.Command {
	var n azName
	cmd := &cobra.Command{
		Use:   "show-metadata IMAGE | show-metadata -r REGISTRY -n REPO[:TAG|@DIGEST]",
		Short: "Show the digest and the attributes of an image",
		Long:  "Show what the registry knows of an image, as az acr manifest show-metadata and dray repository show do.",
		Example: "  dray manifest show-metadata prod.azurecr.io/app:v1 --query digest -o tsv\n" +
			"  dray manifest show-metadata -r prod -n app:v1",
		Args: flag.Optional("one IMAGE, or -r and -n"),
		RunE: func(cmd *cobra.Command, args []string) error { return n.showMetadata(a, cmd, args, oci.Attributes{}) },
	}
	n.addImageTo(cmd.Flags(), "DRAY_SRC_CREDS")
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtSource)
	return cmd
}

func newUpdateMetadata(a *app.App) *cobra.Command {
	var n azName
	var e enabled
	cmd := &cobra.Command{
		Use:   "update-metadata IMAGE | update-metadata -r REGISTRY -n REPO[:TAG|@DIGEST]",
		Short: "Lock or unlock an image of Azure",
		Long: "Lock or unlock an image of an Azure registry, as az acr manifest update-metadata and dray repository " +
			"update do. Other registries have no such locks, so dray refuses there.",
		Example: "  dray manifest update-metadata prod.azurecr.io/app:v1 --write-enabled false\n" +
			"  dray manifest update-metadata -r prod -n app:v1 --delete-enabled true",
		Args: flag.Optional("one IMAGE, or -r and -n"),
		RunE: func(cmd *cobra.Command, args []string) error { return n.showMetadata(a, cmd, args, e.attributes()) },
	}
	n.addImageTo(cmd.Flags(), "DRAY_DST_CREDS")
	e.addTo(cmd.Flags())
	a.Common.AddRegistryTo(cmd.Flags(), flag.AtTarget)
	return cmd
}

func (n *azName) showMetadata(a *app.App, cmd *cobra.Command, args []string, change oci.Attributes) error {
	name, full, err := n.typed(cmd, args)
	if err != nil {
		return err
	}
	return metadata{Az: &n.Az, name: flag.Latest(name), full: full, change: change}.show(a, cmd)
}

// enabled holds the flags that change attributes.
type enabled struct{ deletes, lists, reads, writes yesNo }

func (e *enabled) addTo(flags *pflag.FlagSet) {
	flags.Var(&e.deletes, "delete-enabled", "whether it may be deleted")
	flags.Var(&e.lists, "list-enabled", "whether lists show it")
	flags.Var(&e.reads, "read-enabled", "whether it may be pulled")
	flags.Var(&e.writes, "write-enabled", "whether it may be overwritten; false also forbids to delete it")
}

func (e *enabled) attributes() oci.Attributes {
	return oci.Attributes{Delete: e.deletes.is, List: e.lists.is, Read: e.reads.is, Write: e.writes.is}
}

// yesNo is the value of a flag that is true, false or not given.
type yesNo struct{ is *bool }

func (y *yesNo) Type() string { return "true|false" }

func (y *yesNo) String() string {
	if y.is == nil {
		return ""
	}
	return strconv.FormatBool(*y.is)
}

func (y *yesNo) Set(s string) error {
	on := strings.EqualFold(s, "true")
	if !on && !strings.EqualFold(s, "false") {
		return errors.New("neither true nor false")
	}
	y.is = &on
	return nil
}

// metadata is what one command is to show, and to change before.
type metadata struct {
	*flag.Az
	name   string // of an image or a repository
	full   bool   // name has the registry's host
	change oci.Attributes
}

func (m metadata) show(a *app.App, cmd *cobra.Command) error {
	if err := m.Settle(&a.How, cmd); err != nil {
		return err
	}
	first, then := a.SourceLogin, a.TargetLogin
	changes := m.change != (oci.Attributes{})
	if changes {
		first, then = then, first
	}
	login, err := a.AzLogin(cmd, m.Az, first, then)
	if err != nil {
		return err
	}
	said, err := lookingAs(a, cmd, m.name, login, func(ctx context.Context, v view) (raw json.RawMessage, err error) {
		if !m.full {
			if v.req.Name, err = m.Full(a.IO.Env, v.dray, a.Note, m.name); err != nil {
				return nil, err
			}
		}
		if changes {
			return v.dray.SetAttributes(ctx, v.req, m.change, v.tell)
		}
		return v.dray.Metadata(ctx, v.req, v.tell)
	})
	if err != nil {
		return err
	}
	as := flag.AzFormat(cmd, a.Format)
	if as == out.FormatText {
		as = out.FormatTSV
	}
	return a.PrintAz(as, m.Search, said)
}
