package mirror

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Work has the requests of a rule. One of them may be nil, but not both.
type Work struct {
	Transfer *dray.TransferRequest // for the sources of the rule
	Batch    *dray.BatchRequest    // for the images of the rule
}

// Check reads a rule as Run does, with the names of registries that d has, and sends no request. obs gets the notes
// about names. The error is Invalid.
func Check(d *dray.Dray, rule config.Mirror, now time.Time, obs event.Observer) (Work, error) {
	w, err := workOf(d, rule, now, obs)
	if err == nil && w.Transfer != nil {
		_, _, err = d.TransferEnds(*w.Transfer, obs)
	}
	return w, err
}

// workOf converts a rule to requests. Ages and dates are computed from now. obs gets the notes about the names of
// images. The error is Invalid.
func workOf(d *dray.Dray, rule config.Mirror, now time.Time, obs event.Observer) (w Work, err error) {
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
		w.Batch, err = batch(d, rule, t, obs)
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
func batch(
	d *dray.Dray, rule config.Mirror, t dray.TransferRequest, obs event.Observer,
) (*dray.BatchRequest, error) {
	b := &dray.BatchRequest{
		Overwrite: t.Overwrite, Backup: t.Backup, Hold: plan.Each, SkipBroken: t.SkipBroken, Proof: t.Proof,
		Referrers: t.Referrers, Platforms: t.Platforms,
	}
	for _, image := range rule.Images {
		from, _, err := d.EntryNames(dray.BatchEntry{Source: image, Targets: []string{"localhost/x"}}, "localhost", obs)
		if err != nil {
			return nil, err
		}
		_, ends, err := d.TransferEnds(dray.TransferRequest{
			Sources: []string{from.Repo.String()}, Target: t.Target, Also: t.Also, Mapping: t.Mapping,
		}, nil)
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
				if tags, err = t.Map.Targets(from.Tag); err != nil {
					return nil, err
				}
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
// the name that the target has for it. In a layout or an archive, the image gets its whole name.
func repository(target string, end dray.End, from ref.Repo, m plan.Mapping) (string, error) {
	if end.Repo != (ref.Repo{}) {
		return target, nil
	}
	host, onDisk := target, ref.Repo{Host: end.Host}.IsLayout()
	if !onDisk {
		host, m.AddPrefix = strings.TrimSuffix(target, end.Prefix), end.Prefix+m.AddPrefix
	}
	to, err := m.Repo(from.Host, from)
	if onDisk && (end.Host != ref.Layout || !isApart(end.Prefix)) {
		return ref.Repo{Host: end.Host, Dir: filepath.Clean(end.Prefix), Path: to.String()}.String(), err
	}
	return strings.TrimSuffix(host, "/") + "/" + to.Path, err
}

// isApart reports whether a directory holds one layout for each repository, as earlier versions wrote it.
func isApart(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return false
	}
	_, err = os.Lstat(filepath.Join(dir, "oci-layout"))
	return err != nil
}
