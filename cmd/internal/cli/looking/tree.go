package looking

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/oci"
)

// NewReferrers makes the command dray referrers.
func NewReferrers(a *app.App) *cobra.Command {
	var p oci.Platform
	var types []string
	cmd := &cobra.Command{
		Use:     "referrers IMAGE",
		Aliases: []string{"tree"},
		Short:   "Show what belongs to an image: platforms, signatures, attestations, SBOMs",
		Long: "Show the tree of an image: its children, what refers to the image or to one of them, what refers to that " +
			"in turn, and cosign's digest tags, with types, sizes and annotations. dray copies all of this with an image by " +
			"default. It finds it by the referrers API, or by tags where a registry lacks the API.\n\n" +
			"With --platform, the tree begins at the image for that platform; what is about the index stays out. With " +
			"--referrer-type, the tree has the referrers of that type alone, and those that lead to one.",
		Example: "  dray referrers prod/app:v1\n" +
			"  dray referrers prod/app:v1 --platform linux/amd64\n" +
			"  dray referrers prod/app:v1 -o json | jq -r '.. | .artifactType? // empty'",
		Args: flag.Exactly(1, "one image, such as HOST/REPO:TAG"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tree, err := looking(a, cmd, args[0], func(ctx context.Context, v view) (dray.Tree, error) {
			v.req.Platform, v.req.Types = p, types
			return v.dray.Tree(ctx, v.req, v.tell)
		})
		if err != nil {
			return err
		}
		return printTree(a, tree)
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flag.AddPlatformTo(flags, &p)
	flags.StringArrayVar(&types, "referrer-type", nil,
		"show only referrers of this artifact `TYPE`, such as application/spdx+json; repeatable (default all)")
	a.Common.AddRegistryTo(flags, flag.AtSource)
	return cmd
}

func printTree(a *app.App, t dray.Tree) error {
	return a.Print(out.Answer{
		JSON:   func() error { return a.PrintJSON(t) },
		Text:   func() error { return a.PrintText(draw(t)) },
		Header: []string{"LEVEL", "WHAT", "DIGEST", "SIZE", "TYPE", "PLATFORM", "TAG"},
		Rows: func(row func(...string) error) error {
			return eachNode(t.Node, func(n dray.Node, role string, depth int) error {
				return row(strconv.Itoa(depth), role, string(n.Digest), strconv.FormatInt(n.Content, 10),
					typeOf(n), n.Platform, n.Tag)
			})
		},
	})
}

// What a document is to the one above it.
const (
	isImage    = "image"
	isChild    = "child"
	isReferrer = "referrer"
)

// eachNode calls visit with n and everything below it, in the order of the drawing.
func eachNode(n dray.Node, visit func(n dray.Node, role string, depth int) error) error {
	var walk func(n dray.Node, role string, depth int) error
	walk = func(n dray.Node, role string, depth int) error {
		if err := visit(n, role, depth); err != nil {
			return err
		}
		for _, c := range n.Children {
			if err := walk(c, isChild, depth+1); err != nil {
				return err
			}
		}
		for _, r := range n.Referrers {
			if err := walk(r, isReferrer, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(n, isImage, 0)
}

// draw draws a tree as text.
func draw(t dray.Tree) string {
	d := drawing{new(strings.Builder)}
	d.linef("%s  %s\n", t.Name, describeNode(t.Node))
	d.annotations(t.Node, "", len(t.Children)+len(t.Referrers) > 0)
	d.below(t.Node, "")
	what := "referrers"
	if t.Count == 1 {
		what = "referrer"
	}
	d.linef("\n%d %s, %s in all\n", t.Count, what, out.Size(t.Total))
	return d.text.String()
}

type drawing struct{ text *strings.Builder }

func (d drawing) linef(format string, args ...any) { d.text.WriteString(out.Sprintf(format, args...)) }

// below draws what is below n. prefix stands before each line.
func (d drawing) below(n dray.Node, prefix string) {
	all := append(append([]dray.Node{}, n.Children...), n.Referrers...)
	for i, c := range all {
		branch, rest := "├── ", "│   "
		if i == len(all)-1 {
			branch, rest = "└── ", "    "
		}
		label := typeOf(c)
		if i < len(n.Children) && c.Platform != "" && label == "manifest" {
			label = c.Platform
		}
		d.linef("%s%s%s  %s\n", prefix, branch, label, describeNode(c))
		d.annotations(c, prefix+rest, len(c.Children)+len(c.Referrers) > 0)
		d.below(c, prefix+rest)
	}
}

// annotations draws the annotations of n. The line of what is below n goes on beside them.
func (d drawing) annotations(n dray.Node, prefix string, more bool) {
	line := "    "
	if more {
		line = "│   "
	}
	for _, key := range sortedKeys(n.Annotations) {
		d.linef("%s%s%s=%s\n", prefix, line, key, shortened(n.Annotations[key]))
	}
}

// maxShown is how many characters of an annotation are shown: a certificate or a whole signature may be in one.
// A digest is shown as a whole.
const maxShown = len("sha256:") + 64

func shortened(s string) string {
	letters := []rune(out.OneLine(s))
	if len(letters) <= maxShown {
		return string(letters)
	}
	return string(letters[:maxShown-1]) + "…"
}

// describeNode returns what is said of a document after its name.
func describeNode(n dray.Node) string {
	parts := []string{string(n.Digest), out.Size(n.Content)}
	if n.Tag != "" {
		parts = append(parts, "tag "+n.Tag)
	}
	switch {
	case n.Missing:
		parts = []string{string(n.Digest), "missing"}
	case n.Repeated:
		parts = append(parts, "see above")
	}
	return strings.Join(parts, "  ")
}

// typeOf returns the type by which people know a document: that of an artifact, "attestation-manifest" for what
// BuildKit says about an image beside it, or "index" or "manifest".
func typeOf(n dray.Node) string {
	switch {
	case n.ArtifactType != "":
		return n.ArtifactType
	case n.Annotations[oci.AnnotationRole] != "":
		return n.Annotations[oci.AnnotationRole]
	case n.MediaType == "":
		return "?"
	case len(n.Children) > 0 || strings.Contains(n.MediaType, "index") || strings.Contains(n.MediaType, "list"):
		return "index"
	}
	return "manifest"
}
