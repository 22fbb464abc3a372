package looking

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/oci"
)

func newManifestList(a *app.App) *cobra.Command {
	var n azName
	var l listing
	cmd := &cobra.Command{
		Use:   "list HOST/REPO | list -r REGISTRY -n REPO",
		Short: "List the manifests of a repository, each as it is",
		Long: "List the manifests and indexes of a repository themselves, as az acr manifest list does. Each takes a " +
			"request, which some registries count as a pull. dray manifest list-metadata lists digests, tags and times " +
			"with one request for many.",
		Example: "  dray manifest list prod.azurecr.io/app --query \"[].mediaType\" -o tsv\n" +
			"  dray manifest list -r prod -n app --top 5",
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
			return l.run(a, cmd, name, listDocuments)
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

// listDocuments visits the manifests of a repository themselves.
func listDocuments(ctx context.Context, v view, visit func(listed) error) error {
	return v.dray.ListManifests(ctx, v.req, v.tell, func(m dray.ManifestEntry) error {
		one := v.req
		one.Name += "@" + string(m.Digest)
		doc, err := v.dray.Manifest(ctx, one, v.tell)
		if err != nil {
			return err
		}
		return visit(listed{item: json.RawMessage(doc.Raw), text: string(m.Digest), time: m.Updated})
	})
}

// referrers is the answer of list-referrers, as az prints it.
type referrers struct {
	Manifests []oci.Descriptor `json:"manifests"`
}

// referring holds the flags of list-referrers.
type referring struct {
	azName
	kind string
	deep bool
}

func newListReferrers(a *app.App) *cobra.Command {
	var f referring
	cmd := &cobra.Command{
		Use:   "list-referrers IMAGE | list-referrers -r REGISTRY -n REPO[:TAG|@DIGEST]",
		Short: "List what refers to an image, such as signatures",
		Long: "List the manifests that refer to an image: signatures, attestations, SBOMs. az acr manifest " +
			"list-referrers does the same. dray also finds them where the registry lacks the referrers API and a tag " +
			"lists them.",
		Example: "  dray manifest list-referrers prod.azurecr.io/app:v1 \\\n" +
			"      --query \"manifests[].[artifactType, digest]\" -o tsv",
		Args: flag.Optional("one IMAGE, or -r and -n"),
		RunE: func(cmd *cobra.Command, args []string) error { return listReferrers(a, cmd, args, &f) },
	}
	flags := cmd.Flags()
	f.addImageTo(flags, "DRAY_SRC_CREDS")
	flags.StringVar(&f.kind, "artifact-type", "", "list only those of this `TYPE`")
	flags.BoolVar(&f.deep, "recursive", false, "also list what refers to these")
	a.Common.AddRegistryTo(flags, flag.AtSource)
	return cmd
}

func listReferrers(a *app.App, cmd *cobra.Command, args []string, f *referring) error {
	if err := f.Settle(&a.How, cmd); err != nil {
		return err
	}
	name, full, err := f.typed(cmd, args)
	if err != nil {
		return err
	}
	login, err := a.AzLogin(cmd, &f.Az, a.SourceLogin, a.TargetLogin)
	if err != nil {
		return err
	}
	name = flag.Latest(name)
	found, err := lookingAs(a, cmd, name, login, func(ctx context.Context, v view) ([]oci.Descriptor, error) {
		if !full {
			if v.req.Name, err = f.Full(a.IO.Env, v.dray, a.Note, name); err != nil {
				return nil, err
			}
		}
		return f.find(ctx, v)
	})
	if err != nil {
		return err
	}
	as := flag.AzFormat(cmd, a.Format)
	if as == out.FormatText && f.Search == nil {
		for _, d := range found {
			if err := a.Println(d.Digest, out.OneLine(d.ArtifactType)); err != nil {
				return err
			}
		}
		return nil
	}
	return a.PrintAz(as, f.Search, referrers{append([]oci.Descriptor{}, found...)})
}

// find returns what refers to the image of v and, with --recursive, what refers to that.
func (f *referring) find(ctx context.Context, v view) (found []oci.Descriptor, err error) {
	image := v.req.Name
	seen := map[oci.Digest]bool{}
	for i := -1; i < len(found); i++ {
		if i >= 0 {
			if !f.deep {
				break
			}
			v.req.Name = sibling(image, found[i].Digest)
		}
		all, err := v.dray.Referrers(ctx, v.req, v.tell)
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			if !seen[d.Digest] && (f.kind == "" || d.ArtifactType == f.kind || i >= 0) {
				seen[d.Digest] = true
				found = append(found, d)
			}
		}
	}
	return found, nil
}

// sibling returns the name of a digest in the repository of an image.
func sibling(image string, digest oci.Digest) string {
	repo, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndex(repo, ":"); colon > strings.LastIndex(repo, "/") {
		repo = repo[:colon]
	}
	return repo + "@" + string(digest)
}
