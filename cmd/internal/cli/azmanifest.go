package cli

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/oci"
)

// azName is a name that az takes in two forms: whole as the argument, or as --registry and --name.
type azName struct {
	azFlags
	name string
}

// typed returns what was named, and whether it is a full name.
func (n *azName) typed(cmd *cobra.Command, args []string) (name string, full bool, err error) {
	switch {
	case len(args) == 1 && (n.name != "" || n.registry != ""):
		return "", false, usageError(cmd, errors.New("the name is given twice"), "either HOST/REPO, or -r and -n")
	case len(args) == 1:
		return args[0], true, nil
	case n.name == "":
		return "", false, usageError(cmd, errors.New("no name"), "HOST/REPO, or -r REGISTRY and -n REPO")
	}
	return n.name, false, nil
}

func optional(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return count(cmd, args, 0, 1, what) }
}

func newManifestShow(a *app) *cobra.Command {
	var n azName
	var raw bool
	cmd := &cobra.Command{
		Use:   "show IMAGE | show -r REGISTRY -n REPO[:TAG|@DIGEST]",
		Short: "Show a manifest or index, as az acr manifest show does",
		Long: "Show the manifest or index that a name points to, as az acr manifest show does: JSON in order of\n" +
			"its keys, or with --raw byte for byte.",
		Example: "  dray manifest show prod.azurecr.io/app:v1\n" +
			"  dray manifest show -r prod -n app:v1 --raw | sha256sum",
		Args: optional("one IMAGE, or -r and -n"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := n.settle(&a.how, cmd); err != nil {
				return err
			}
			return a.showManifest(cmd, args, n, raw)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	n.addTo(flags, "registry", "r")
	flags.StringVarP(&n.name, "name", "n", "", "the image in it, `REPO[:TAG|@DIGEST]` (default tag latest)")
	flags.BoolVar(&raw, "raw", false, "print the bytes as they are")
	a.common.addRegistryTo(flags)
	return cmd
}

func (a *app) showManifest(cmd *cobra.Command, args []string, n azName, raw bool) error {
	name, full, err := n.typed(cmd, args)
	if err != nil {
		return err
	}
	login, err := a.azLogin(cmd, &n.azFlags)
	if err != nil {
		return err
	}
	doc, err := lookingAs(a, cmd, name, login, func(ctx context.Context, d *dray.Dray, req dray.LookRequest, s *story) (doc oci.Document, err error) {
		if !full {
			if req.Name, err = n.full(a.IO.Env, d, name); err != nil {
				return doc, err
			}
		}
		return d.Manifest(ctx, req, s.observe)
	})
	switch as := azFormat(cmd, a.format); {
	case err != nil:
		return err
	case as == formatNone:
		return nil
	case raw || as == formatText && n.search == nil:
		_, err = a.out.Write(doc.Raw)
		return err
	default:
		return printAz(a.out, as, n.search, json.RawMessage(doc.Raw))
	}
}

func newListMetadata(a *app) *cobra.Command {
	var n azName
	var l listing
	cmd := &cobra.Command{
		Use:   "list-metadata HOST/REPO | list-metadata -r REGISTRY -n REPO",
		Short: "List the manifests of a repository with what is known of them",
		Long: "List the manifests of a repository with digest, tags and what else the registry tells, as az acr\n" +
			"manifest list-metadata does: in JSON unless -o says otherwise. Those without a tag are listed where\n" +
			"the registry lists them; where not, a note on stderr says so.",
		Example: "  dray manifest list-metadata prod.azurecr.io/app\n" +
			"  dray manifest list-metadata -r prod -n app --orderby time_asc --query \"[?tags==null].digest\" -o tsv",
		Args: optional("one HOST/REPO, or -r and -n"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, full, err := n.typed(cmd, args)
			if err != nil {
				return err
			}
			l.azFlags, l.detail, l.whole = n.azFlags, true, full
			if err := l.check(a, cmd); err != nil {
				return err
			}
			return l.run(a, cmd, name, l.manifests)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	n.addTo(flags, "registry", "r")
	flags.StringVarP(&n.name, "name", "n", "", "the `REPO` in it")
	l.addTopTo(flags)
	l.addOrderTo(flags)
	a.common.addRegistryTo(flags)
	return cmd
}
