package mirror

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Work has the requests of a rule. One of them may be nil, but not both.
type Work struct {
	Transfer *dray.TransferRequest // for the sources of the rule
	Batch    *dray.BatchRequest    // for the images of the rule
}

// WorkOf converts a rule to requests. Ages and dates are computed from now. The error is Invalid.
func WorkOf(d *dray.Dray, rule config.Mirror, now time.Time) (w Work, err error) {
	t := dray.TransferRequest{
		Sources: rule.Sources, Target: rule.Targets[0], Also: rule.Targets[1:], Prefer: rule.Prefer,
		Overwrite: cmp.Or(plan.Overwrite(rule.Overwrite), plan.Update), CopyLocks: rule.CopyLocks,
		Strict: rule.Strict, SkipBroken: rule.SkipBroken,
		Delay: time.Duration(rule.Delay * float64(time.Second)),
	}
	if rule.Rehash {
		t.Proof = dray.Hashed
	}
	t.Referrers, t.Platforms = rule.Referrers, rule.Platforms
	t.Referrers.Mode = cmp.Or(t.Referrers.Mode, plan.ReferrersSync)
	if rule.Backup != "" {
		t.Backup = plan.Backup{Template: rule.Backup, Date: now.UTC().Format("20060102")}
	}
	if t.Selection, err = selection(rule, now); err != nil {
		return w, err
	}
	t.Mapping = plan.Mapping{
		StripPrefix: rule.Strip, Flatten: rule.Flatten, Template: rule.Template,
		AddPrefix: rule.Prefix, MaxDepth: rule.MaxDepth,
	}
	if t.Mapping.Rename, err = plan.ParseRenames(rule.Rewrite); err != nil {
		return w, err
	}
	for _, from := range slices.Sorted(maps.Keys(rule.Map)) {
		for _, to := range rule.Map[from] {
			t.Map.Pairs = append(t.Map.Pairs, plan.Pair{From: from, To: to})
		}
	}
	if t.Map.Rename, err = plan.ParseRenames(rule.Rename); err != nil {
		return w, err
	}
	if len(rule.Sources) > 0 {
		w.Transfer = &t
	}
	if len(rule.Images) > 0 {
		w.Batch, err = batch(d, rule, t)
	}
	return w, err
}

func selection(rule config.Mirror, now time.Time) (plan.Selection, error) {
	return plan.Words{
		Letters: rule.Letters, Ignore: rule.Ignore,
		IncludeRepositories: rule.Include, ExcludeRepositories: rule.Exclude, MaxRepositories: rule.MaxRepositories,
		IncludeTags: rule.IncludeTags, ExcludeTags: rule.ExcludeTags, Versions: rule.Semver, NewerThan: rule.NewerThan,
		Latest: rule.Latest, Order: rule.LatestBy, MinTags: rule.MinTags, Untagged: rule.Untagged,
		RequireMatch: rule.RequireMatch,
	}.Selection(now)
}

// batch returns the request for the images of a rule. Each image has one entry with all its targets, so
// that it is read once. The mapping determines target repositories, as it does for sources.
func batch(d *dray.Dray, rule config.Mirror, t dray.TransferRequest) (*dray.BatchRequest, error) {
	b := &dray.BatchRequest{
		Overwrite: t.Overwrite, Backup: t.Backup, Hold: plan.Each, SkipBroken: t.SkipBroken, Proof: t.Proof,
		Referrers: t.Referrers, Platforms: t.Platforms,
	}
	for _, image := range rule.Images {
		from, _, err := d.EntryNames(dray.BatchEntry{Source: image, Targets: []string{"localhost/x"}}, "localhost")
		if err != nil {
			return nil, err
		}
		_, ends, err := d.TransferEnds(dray.TransferRequest{
			Sources: []string{from.Repo.String()}, Target: t.Target, Also: t.Also, Mapping: t.Mapping,
		})
		if err != nil {
			return nil, err
		}
		entry := dray.BatchEntry{Source: image}
		for i, to := range rule.Targets {
			repo, err := repository(to, ends[i], from.Repo, t.Mapping)
			if err != nil {
				return nil, err
			}
			tags := []string{""}
			if from.Tag != "" {
				tags = t.Map.Targets(from.Tag)
			}
			for _, tag := range tags {
				name := repo
				if tag != "" {
					name += ":" + tag
				}
				entry.Targets = append(entry.Targets, name)
			}
		}
		b.Entries = append(b.Entries, entry)
	}
	return b, nil
}

// repository returns the repository for an image of from at a target, which end describes. If the target is
// "HOST/REPO", it is that repository. Otherwise it is the mapped path below the target. The registry keeps
// the name that the target has for it.
func repository(target string, end dray.End, from ref.Repo, m plan.Mapping) (string, error) {
	if end.Repo != (ref.Repo{}) {
		return target, nil
	}
	host := target
	if end.Host != ref.Layout {
		host, m.AddPrefix = strings.TrimSuffix(target, end.Prefix), end.Prefix+m.AddPrefix
	}
	to, err := m.Repo(from.Host, from)
	return strings.TrimSuffix(host, "/") + "/" + to.Path, err
}
