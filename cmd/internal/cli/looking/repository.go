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

// NewRepository makes dray repository; removals are its commands that remove.
func NewRepository(a *app.App, removals ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repository list|show-tags|show-manifests|untag|delete",
		Short: "az acr repository: list repositories, tags and manifests, remove images",
		Long: "The commands of az acr repository, with its flags and its forms of output: JSON unless -o says\n" +
			"otherwise. They work with every registry.",
		Example: "  dray repository list -n prod\n" +
			"  dray repository show-tags -n prod --repository app",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return flag.UnknownCommand(cmd, args[0])
		},
	}
	cmd.AddCommand(newRepositoryList(a), newShowTags(a), newShowManifests(a))
	cmd.AddCommand(removals...)
	return cmd
}

// listing are the flags of az's commands that list.
type listing struct {
	flag.Az
	repository string
	top        int
	orderBy    string
	detail     bool
	whole      bool // the name to list is a full one
}

// errEnough ends a listing that --top cut short.
var errEnough = errors.New("enough")

func (l *listing) addTopTo(flags *pflag.FlagSet) {
	flags.IntVar(&l.top, "top", 0, "list the first `N` only (default all)")
}

func (l *listing) addOrderTo(flags *pflag.FlagSet) {
	flags.StringVar(&l.orderBy, "orderby", "", "`time_asc|time_desc`: order by the time of the last change, where the registry tells it (default the registry's order)")
}

func (l *listing) check(a *app.App, cmd *cobra.Command) error {
	switch {
	case l.top < 0 || l.top == 0 && cmd.Flags().Changed("top"):
		return flag.UsageError(cmd, fmt.Errorf("--top %d: not a count", l.top), "1 or more")
	case !slices.Contains([]string{"", "time_asc", "time_desc"}, l.orderBy):
		return flag.UsageError(cmd, fmt.Errorf("--orderby %q", l.orderBy), "time_asc or time_desc")
	}
	return l.Settle(&a.How, cmd)
}

// listed is one item of an az list on its way to stdout.
type listed struct {
	item any
	text string     // its line in the format text
	time *time.Time // of the last change; nil where the registry does not tell
}

// run lists what fetch visits, in the order and number that the flags ask for.
func (l *listing) run(a *app.App, cmd *cobra.Command, path string, fetch func(context.Context, *dray.Dray, dray.LookRequest, *out.Story, func(listed) error) error) error {
	login, err := a.AzLogin(cmd, &l.Az)
	if err != nil {
		return err
	}
	list := out.NewAzList(a.Out, flag.AzFormat(cmd, a.Format), l.Search)
	var kept []listed
	_, err = lookingAs(a, cmd, path, login, func(ctx context.Context, d *dray.Dray, req dray.LookRequest, s *out.Story) (struct{}, error) {
		if !l.whole {
			if req.Name, err = l.Full(a.IO.Env, d, path); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, fetch(ctx, d, req, s, func(one listed) error {
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
		a.Fail(err) // after half an answer no second one
		return out.Ended(out.ExitCode(err))
	}
	if err := l.showOrdered(path, kept, list); err != nil {
		return err
	}
	return list.End()
}

// showOrdered shows what waited for its order.
func (l *listing) showOrdered(path string, kept []listed, list *out.AzList) error {
	for _, one := range kept {
		if one.time == nil {
			return &fault.Fault{Kind: fault.Refused, Op: "order by time", Name: path, Hint: "leave --orderby off",
				Err: errors.New("this registry does not tell when its tags were set")}
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
		Long: "List the repositories of a registry, without its host, as az acr repository list does: in JSON\n" +
			"unless -o says otherwise.",
		Example: "  dray repository list -n prod\n  dray repository list -n prod --top 10 -o tsv",
		Args:    flag.Exactly(0, "the registry after -n"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := l.check(a, cmd); err != nil {
				return err
			}
			return l.run(a, cmd, "", func(ctx context.Context, d *dray.Dray, req dray.LookRequest, s *out.Story, visit func(listed) error) error {
				return d.List(ctx, req, s.Observe, func(e dray.Entry) error {
					return visit(listed{item: e.Repository.Path, text: e.Repository.Path})
				})
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	l.AddTo(flags, "name", "n")
	l.addTopTo(flags)
	a.Common.AddRegistryTo(flags)
	return cmd
}

// tagDetail is a tag in az's words, so far as a registry tells of it.
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
		Long: "List the tags of a repository, as az acr repository show-tags does: in JSON unless -o says\n" +
			"otherwise. With --detail each has its digest and, where the registry tells them, its times.",
		Example: "  dray repository show-tags -n prod --repository app\n" +
			"  dray repository show-tags -n prod --repository app --orderby time_desc --top 1 -o tsv\n" +
			"  dray repository show-tags -n prod --repository app --detail --query \"[].{tag: name, digest: digest}\" -o table",
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
	l.AddTo(flags, "name", "n")
	flags.StringVar(&l.repository, "repository", "", "the `REPO` to list")
	flags.BoolVar(&l.detail, "detail", false, detail)
	l.addTopTo(flags)
	l.addOrderTo(flags)
	a.Common.AddRegistryTo(flags)
}

func (l *listing) checkRepository(a *app.App, cmd *cobra.Command) error {
	if l.repository == "" {
		return flag.UsageError(cmd, errors.New("--repository is missing"), "name a repository")
	}
	return l.check(a, cmd)
}

// tags visits tags: plain ones cost no request of their own.
func (l *listing) tags(ctx context.Context, d *dray.Dray, req dray.LookRequest, s *out.Story, visit func(listed) error) error {
	if !l.detail {
		return d.ListTags(ctx, req, s.Observe, func(e dray.Entry) error {
			return visit(listed{item: e.Tag, text: e.Tag, time: cmp.Or(e.Updated, e.Created)})
		})
	}
	return d.List(ctx, req, s.Observe, func(e dray.Entry) error {
		if e.Err != nil {
			return e.Err
		}
		return visit(listed{tagDetail{e.Tag, e.Digest, e.Created, e.Updated}, e.Tag + " " + string(e.Digest), cmp.Or(e.Updated, e.Created)})
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
		Long: "List the manifests of a repository with their tags, as az acr repository show-manifests does: in\n" +
			"JSON unless -o says otherwise. Those without a tag are listed where the registry lists them; where\n" +
			"not, a note on stderr says so.",
		Example: "  dray repository show-manifests -n prod --repository app\n" +
			"  dray repository show-manifests -n prod --repository app --query \"[?tags==`[]`].digest\" -o tsv",
		Args: flag.Exactly(0, "the repository after --repository"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := l.checkRepository(a, cmd); err != nil {
				return err
			}
			return l.run(a, cmd, l.repository, l.manifests)
		},
	}
	l.addRepositoryTo(a, cmd.Flags(), "list all that the registry tells of each, as list-metadata does")
	return cmd
}

func (l *listing) manifests(ctx context.Context, d *dray.Dray, req dray.LookRequest, s *out.Story, visit func(listed) error) error {
	return d.ListManifests(ctx, req, s.Observe, func(m dray.ManifestEntry) error {
		one := listed{item: m, text: strings.Join(append([]string{string(m.Digest)}, m.Tags...), " "), time: cmp.Or(m.Updated, m.Created)}
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
