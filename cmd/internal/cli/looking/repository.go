package looking

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// NewRepository makes the command dray repository. removals are its commands that remove images.
func NewRepository(a *app.App, removals ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repository list|show|show-tags|show-manifests|update|untag|delete",
		Short: "List, show and remove as az acr repository does, at any registry",
		Long: "List repositories, tags and manifests, show and lock images, and remove them. These are the commands of " +
			"az acr repository, with the same flags and the same output: JSON, unless -o names another format. They work " +
			"with every registry.",
		Example: "  dray repository list -n prod\n" +
			"  dray repository show-tags -n prod --repository app",
		Args: flag.NoneButCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRepositoryList(a), newRepositoryShow(a), newShowTags(a), newShowManifests(a), newRepositoryUpdate(a))
	cmd.AddCommand(removals...)
	return cmd
}

// listing holds the flags of az's commands that list.
type listing struct {
	flag.Az
	repository string
	top        int
	orderBy    string
	detail     bool
	whole      bool // the name to list is a full name
}

// errEnough ends a listing after the entries that --top asks for.
var errEnough = errors.New("enough")

func (l *listing) addTopTo(flags *pflag.FlagSet) {
	flags.IntVar(&l.top, "top", 0, "list only the first `N` (default all)")
}

func (l *listing) addOrderTo(flags *pflag.FlagSet) {
	flags.StringVar(&l.orderBy, "orderby", "",
		"sort by the time of the last change, if the registry knows it; `ORDER` is time_asc or time_desc "+
			"(default the order of the registry)")
}

func (l *listing) check(a *app.App, cmd *cobra.Command) error {
	if !slices.Contains([]string{"", "time_asc", "time_desc"}, l.orderBy) {
		return flag.UsageError(cmd, fmt.Errorf("--orderby %q: not an order", l.orderBy), "write time_asc or time_desc")
	}
	return l.Settle(&a.How, cmd)
}

// listed is one item of a list in the form of az.
type listed struct {
	item any
	text string     // its line in the format text
	time *time.Time // of the last change; nil if the registry does not know it
}

// run lists the items that fetch visits, in the order and number that the flags ask for.
func (l *listing) run(
	a *app.App, cmd *cobra.Command, path string, fetch func(context.Context, view, func(listed) error) error,
) error {
	login, err := a.AzLogin(cmd, &l.Az, a.SourceLogin, a.TargetLogin)
	if err != nil {
		return err
	}
	list := a.NewAzList(flag.AzFormat(cmd, a.Format), l.Search)
	var kept []listed
	_, err = lookingAs(a, cmd, path, login, func(ctx context.Context, v view) (struct{}, error) {
		if !l.whole {
			if v.req.Name, err = l.Full(a.IO.Env, v.dray, v.tell, path); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, fetch(ctx, v, func(one listed) error {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case l.orderBy != "":
				kept = append(kept, one)
				return nil
			}
			if err := list.Show(one.item, one.text); err != nil {
				return err
			}
			if l.top > 0 && list.Shown == l.top {
				return errEnough
			}
			return nil
		})
	})
	if err != nil && !errors.Is(err, errEnough) {
		if list.Shown == 0 {
			return err
		}
		a.Fail(err) // half an answer is printed, so the error must not be printed as the answer
		return out.Ended(out.ExitCode(err))
	}
	if err := l.showOrdered(path, kept, list); err != nil {
		return err
	}
	return list.End()
}

// showOrdered shows the items that were kept to be sorted.
func (l *listing) showOrdered(path string, kept []listed, list *out.AzList) error {
	for _, one := range kept {
		if one.time == nil {
			return &fault.Fault{Kind: fault.Refused, Op: "order by time", Name: path, Hint: "leave --orderby out",
				Err: errors.New("this registry does not say when its tags were set")}
		}
	}
	slices.SortStableFunc(kept, func(x, y listed) int {
		if l.orderBy == "time_desc" {
			x, y = y, x
		}
		return x.time.Compare(*y.time)
	})
	for _, one := range kept {
		if l.top > 0 && list.Shown == l.top {
			return nil
		}
		if err := list.Show(one.item, one.text); err != nil {
			return err
		}
	}
	return nil
}

func newRepositoryList(a *app.App) *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "list -n REGISTRY",
		Short: "List the repositories of a registry",
		Long: "List the repositories of a registry without its host, as az acr repository list does. The format " +
			"is JSON unless -o names another.",
		Example: "  dray repository list -n prod\n" +
			"  dray repository list -n prod --top 10 -o tsv",
		Args: flag.Exactly(0, "the registry after -n"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := l.check(a, cmd); err != nil {
				return err
			}
			return l.run(a, cmd, "", func(ctx context.Context, v view, visit func(listed) error) error {
				return v.dray.List(ctx, v.req, v.tell, func(e dray.Entry) error {
					return visit(listed{item: e.Repository.Path, text: e.Repository.Path})
				})
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	l.AddTo(flags, "name", "n", "DRAY_SRC_CREDS")
	l.AddQueryTo(flags)
	l.addTopTo(flags)
	a.Common.AddRegistryTo(flags, flag.AtSource)
	return cmd
}

// tagDetail is a tag in the form of az, with the fields that registries know.
type tagDetail struct {
	Name    string     `json:"name"`
	Digest  oci.Digest `json:"digest"`
	Created *time.Time `json:"createdTime,omitempty"`
	Updated *time.Time `json:"lastUpdateTime,omitempty"`
}

func newShowTags(a *app.App) *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "show-tags -n REGISTRY --repository REPO",
		Short: "List the tags of a repository",
		Long: "List the tags of a repository, as az acr repository show-tags does. The format is JSON unless -o " +
			"names another. With --detail each tag has its digest and, if the registry knows them, its times.",
		Example: "  dray repository show-tags -n prod --repository app\n" +
			"  dray repository show-tags -n prod --repository app \\\n" +
			"      --orderby time_desc --top 1 -o tsv\n" +
			"  dray repository show-tags -n prod --repository app --detail \\\n" +
			"      --query \"[].{tag: name, digest: digest}\" -o table",
		Args: flag.Exactly(0, "the repository after --repository"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := l.checkRepository(a, cmd); err != nil {
				return err
			}
			return l.run(a, cmd, l.repository, l.tags)
		},
	}
	l.addRepositoryTo(a, cmd.Flags(), "list each tag with its digest and times")
	return cmd
}

func (l *listing) addRepositoryTo(a *app.App, flags *pflag.FlagSet, detail string) {
	flags.SortFlags = false
	l.AddTo(flags, "name", "n", "DRAY_SRC_CREDS")
	l.AddQueryTo(flags)
	flags.StringVar(&l.repository, "repository", "", "list this `REPO`")
	flags.BoolVar(&l.detail, "detail", false, detail)
	l.addTopTo(flags)
	l.addOrderTo(flags)
	a.Common.AddRegistryTo(flags, flag.AtSource)
}

func (l *listing) checkRepository(a *app.App, cmd *cobra.Command) error {
	if l.repository == "" {
		return flag.UsageError(cmd, errors.New("--repository is missing"), "name a repository")
	}
	return l.check(a, cmd)
}

// tags visits the tags of a repository. Without --detail, no tag needs a request for itself.
func (l *listing) tags(ctx context.Context, v view, visit func(listed) error) error {
	if !l.detail {
		return v.dray.ListTags(ctx, v.req, v.tell, func(e dray.Entry) error {
			return visit(listed{item: e.Tag, text: e.Tag, time: cmp.Or(e.Updated, e.Created)})
		})
	}
	return v.dray.List(ctx, v.req, v.tell, func(e dray.Entry) error {
		if e.Err != nil {
			return e.Err
		}
		return visit(listed{
			item: tagDetail{e.Tag, e.Digest, e.Created, e.Updated},
			text: e.Tag + " " + string(e.Digest),
			time: cmp.Or(e.Updated, e.Created),
		})
	})
}

// shortManifest is a manifest as az acr repository show-manifests shows it without --detail.
type shortManifest struct {
	Digest oci.Digest `json:"digest"`
	Tags   []string   `json:"tags"`
	Time   string     `json:"timestamp"`
}

func newShowManifests(a *app.App) *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "show-manifests -n REGISTRY --repository REPO",
		Short: "List the manifests of a repository, with their tags",
		Long: "List the manifests of a repository with their tags, as az acr repository show-manifests does. The " +
			"format is JSON unless -o names another. Manifests without a tag are listed if the registry can list " +
			"them; if it cannot, a note on stderr says so.",
		Example: "  dray repository show-manifests -n prod --repository app\n" +
			"  dray repository show-manifests -n prod --repository app \\\n" +
			"      --query \"[?tags[0]==null].digest\" -o tsv",
		Args: flag.Exactly(0, "the repository after --repository"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := l.checkRepository(a, cmd); err != nil {
				return err
			}
			return l.run(a, cmd, l.repository, l.manifests)
		},
	}
	l.addRepositoryTo(a, cmd.Flags(), "list all metadata of each manifest, as dray manifest list-metadata does")
	return cmd
}

func (l *listing) manifests(ctx context.Context, v view, visit func(listed) error) error {
	return v.dray.ListManifests(ctx, v.req, v.tell, func(m dray.ManifestEntry) error {
		one := listed{
			item: m,
			text: strings.Join(append([]string{string(m.Digest)}, m.Tags...), " "),
			time: cmp.Or(m.Updated, m.Created),
		}
		if !l.detail {
			short := shortManifest{Digest: m.Digest, Tags: append([]string{}, m.Tags...)}
			if one.time != nil {
				short.Time = one.time.Format(time.RFC3339Nano)
			}
			one.item = short
		}
		return visit(one)
	})
}
