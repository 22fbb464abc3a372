package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/natural"
	"github.com/drayage/dray/oci"
)

// Selection says which repositories and tags to copy. The zero Selection keeps all. Each rule that is given is
// one stage, and a stage sees only what the stages before it kept. [Words] has the same rules as text.
type Selection struct {
	// Rules about repositories, by their path without the host. The stages are letters, ignore,
	// include and exclude, in this order.
	Repository          string   // only this repository, if it exists; the other rules about repositories are ignored
	Letters             Letters  // repositories by their first letter
	Ignore              Patterns // repositories to drop; acr_transfer.py's name for ExcludeRepositories
	IncludeRepositories Patterns // repositories to keep; empty keeps all
	ExcludeRepositories Patterns // repositories to drop
	MaxRepositories     int      // the maximum number of repositories; only Limit applies it; 0 means no limit

	// Rules about tags. The stages are include, exclude, versions, in-use, newer-than, latest and
	// min-tags, in this order.
	IncludeTags Patterns  // tags to keep; empty keeps all
	ExcludeTags Patterns  // tags to drop
	Versions    Versions  // a range of versions
	Running     *Running  // the images of the repository that are in use; nil means no rule
	Since       time.Time // drops tags that were last set before this time and keeps those without a time; zero drops none
	Latest      int       // keeps this many tags, the first by Order; 0 keeps all
	Order       Order     // the order for Latest; "" chooses an order for each repository
	MinTags     int       // if fewer tags of a repository are kept, it is an error; 0 means no such check

	// Untagged also keeps manifests that no tag and no index points to, if the registry lists them. Of the
	// rules about tags, only Since applies to them.
	Untagged bool

	// RequireMatch makes it an error, not a note, if a rule of names matches nothing, or nothing is selected.
	RequireMatch bool
}

// Words holds the rules of a [Selection] as people write them. [Words.Selection] parses them.
type Words struct {
	Repository          string
	Letters             string   // in the form of ParseLetters
	Ignore              []string // in the form of ParseIgnore
	IncludeRepositories []string // in the form of ParsePatterns
	ExcludeRepositories []string // in the form of ParsePatterns
	MaxRepositories     int
	IncludeTags         []string // in the form of ParsePatterns
	ExcludeTags         []string // in the form of ParsePatterns
	Versions            string   // in the form of ParseVersions
	NewerThan           string   // in the form of ParseAge; "" means no rule
	Latest              int
	Order               string // in the form of ParseOrder
	MinTags             int
	Untagged            bool
	RequireMatch        bool // as in Selection
}

// Selection parses w. NewerThan counts back from now. The error is [fault.Invalid], for the first bad word.
func (w Words) Selection(now time.Time) (Selection, error) {
	s := Selection{Repository: w.Repository, MaxRepositories: w.MaxRepositories, Untagged: w.Untagged}
	s.Latest, s.MinTags, s.RequireMatch = w.Latest, w.MinTags, w.RequireMatch
	var errs [9]error
	s.IncludeRepositories, errs[0] = ParsePatterns(w.IncludeRepositories...)
	s.ExcludeRepositories, errs[1] = ParsePatterns(w.ExcludeRepositories...)
	s.IncludeTags, errs[2] = ParsePatterns(w.IncludeTags...)
	s.ExcludeTags, errs[3] = ParsePatterns(w.ExcludeTags...)
	s.Letters, errs[4] = ParseLetters(w.Letters)
	s.Ignore, errs[5] = ParseIgnore(w.Ignore...)
	s.Versions, errs[6] = ParseVersions(w.Versions)
	s.Order, errs[7] = ParseOrder(w.Order)
	if w.NewerThan != "" {
		var age time.Duration
		age, errs[8] = ParseAge(w.NewerThan)
		s.Since = now.Add(-age)
	}
	return s, cmp.Or(errs[:]...)
}

// Order says which of two tags is the later one, for Selection.Latest:
//   - [ByVersion]: the one with the higher version.
//   - [ByTime]: the one that was set later.
//   - [ByName]: the one whose name comes later.
//
// Tags that are equal by an Order are compared by name in natural order (rc10 comes after rc9). "" means
// ByTime if every tag of the repository has a time, else ByVersion if at least one tag is a version, else
// ByName.
type Order string

// The Orders other than "".
const (
	// ByVersion puts the highest version first, including prereleases. Tags that are not versions are
	// dropped; see [Versions].
	ByVersion Order = "version"
	ByTime    Order = "time" // The tag that was set last comes first. Tags without a time come after all others.
	ByName    Order = "name" // The last name in natural order comes first.
)

// ParseOrder reads "", "version", "time" or "name". The error is [fault.Invalid].
func ParseOrder(s string) (Order, error) {
	if o := Order(s); slices.Contains([]Order{"", ByVersion, ByTime, ByName}, o) {
		return o, nil
	}
	return "", invalid("read latest-by", shown(s), errors.New("no such order"), "write version, time or name")
}

// ParseAge reads a positive age: whole days ("90d"), whole weeks ("2w"), or a duration of [time.ParseDuration]
// ("36h"). Subtract it from the current time to get a Selection.Since. The error is [fault.Invalid].
func ParseAge(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	age, err := time.ParseDuration(s)
	for unit, length := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			var n int64
			n, err = strconv.ParseInt(number, 10, 32)
			if age = time.Duration(n) * length; age/length != time.Duration(n) {
				err = errors.New("the age is too long")
			}
		}
	}
	if err != nil || age <= 0 {
		return 0, invalid("read age", shown(s), errors.New("not an age"), "write a positive age such as 90d, 2w or 36h")
	}
	return age, nil
}

// Repositories returns the repositories of all that s keeps, in the order of their names, each once. The error
// is [fault.TooLarge]: a regular expression took too long. The explanation then ends at that stage.
func (s Selection) Repositories(
	ctx context.Context, all []string,
) (kept []string, why Explain, err error) {
	each := slices.Compact(slices.Sorted(slices.Values(all)))
	sv := newSieve("repositories", each, func(name string) string { return name })
	if s.Repository != "" {
		sv.stage(ctx, "repository", func(name string) (bool, string, error) {
			return name == s.Repository, fmt.Sprintf("repository %q", s.Repository), nil
		})
		if len(sv.left) == 0 {
			sv.Warnings = append(sv.Warnings, fmt.Sprintf("there is no repository %q", s.Repository))
		}
		return sv.left, sv.Explain, sv.err
	}
	if s.Letters.String() != "" {
		sv.stage(ctx, "letters", func(name string) (bool, string, error) {
			return s.Letters.Match(name), s.Letters.why(name), nil
		})
	}
	sv.exclude(ctx, "ignore", s.Ignore)
	sv.include(ctx, s.IncludeRepositories)
	sv.exclude(ctx, "exclude", s.ExcludeRepositories)
	if w := s.Letters.Warning(); w != "" {
		sv.Warnings = append(sv.Warnings, w)
	}
	sv.Warnings = append(sv.Warnings, s.Ignore.Warnings()...)
	return sv.left, sv.Explain, sv.err
}

// Limit returns the first s.MaxRepositories of needing, by name. needing holds only the repositories in
// which something is to be done, because acr_transfer.py counts only those.
func (s Selection) Limit(ctx context.Context, needing []string) (kept []string, why Explain, err error) {
	each := slices.Compact(slices.Sorted(slices.Values(needing)))
	sv := newSieve("repositories", each, func(name string) string { return name })
	if s.MaxRepositories > 0 {
		place := 0
		sv.stage(ctx, "max-repositories", func(string) (bool, string, error) {
			place++
			return place <= s.MaxRepositories, fmt.Sprintf("max-repositories %d: place %d", s.MaxRepositories, place), nil
		})
	}
	return sv.left, sv.Explain, sv.err
}

// NeedsTimes reports whether [Selection.Tags] needs the times of tags. A caller whose listing has no times must
// look them up before, for the tags that [Selection.Candidates] returns.
func (s Selection) NeedsTimes() bool { return !s.Since.IsZero() || s.Latest > 0 && s.Order == ByTime }

// Candidates is like [Selection.Tags], but applies only the rules that use neither times nor numbers of tags.
func (s Selection) Candidates(
	ctx context.Context, repository string, tags []oci.Listed,
) (kept []oci.Listed, why Explain, err error) {
	sv := s.byName(ctx, repository, tags)
	return sv.left, sv.Explain, sv.err
}

// Tags returns the tags of one repository that s keeps, in the order of their names. The time of a tag is its
// Updated or, if that is zero, its Created. If a tag is listed twice, the entry that was set last counts.
//
// The error is [fault.TooLarge] if a regular expression took too long, [fault.Invalid] if s.Order is not known,
// and [fault.Refused] if fewer than s.MinTags tags are kept. The explanation is returned also with an error.
func (s Selection) Tags(
	ctx context.Context, repository string, tags []oci.Listed,
) (kept []oci.Listed, why Explain, err error) {
	if _, err := ParseOrder(string(s.Order)); err != nil {
		return nil, newSieve(repository, nil, func(t oci.Listed) string { return t.Tag }).Explain, err
	}
	sv := s.byName(ctx, repository, tags)
	if !s.Since.IsZero() {
		sv.stage(ctx, "newer-than", s.isNewOrOf(sv.left))
	}
	if s.Latest > 0 && sv.err == nil {
		s.latest(ctx, sv)
	}
	if left := images(sv.left); left < s.MinTags && sv.err == nil {
		all := images(latestOf(tags))
		sv.err = &fault.Fault{Kind: fault.Refused, Op: "select tags", Name: repository,
			Err:  fmt.Errorf("%d of %d tags are left, but at least %d are required", left, all, s.MinTags),
			Hint: "find out which rule drops each tag, or lower the minimum"}
	}
	return sv.left, sv.Explain, sv.err
}

// Loose returns the manifests that s keeps among all, the manifests of one repository without a tag, in the
// order of their digests. Of the rules about tags, only Since applies to them.
func (s Selection) Loose(
	ctx context.Context, repository string, all []oci.Listed,
) (kept []oci.Listed, why Explain, err error) {
	digest := func(t oci.Listed) string { return string(t.Descriptor.Digest) }
	sorted := slices.SortedFunc(slices.Values(all), func(a, b oci.Listed) int { return cmp.Compare(digest(a), digest(b)) })
	each := slices.CompactFunc(sorted, func(a, b oci.Listed) bool { return digest(a) == digest(b) })
	sv := newSieve(repository+" without a tag", each, digest)
	if !s.Since.IsZero() {
		sv.stage(ctx, "newer-than", s.isNew)
	}
	return sv.left, sv.Explain, sv.err
}

// ChoosesTags reports whether a rule chooses among tags by what they are called, or by how many there are.
func (s Selection) ChoosesTags() bool {
	return len(s.IncludeTags)+len(s.ExcludeTags) > 0 || s.Versions.String() != "" || s.Running != nil || s.Latest > 0
}

func (s Selection) byName(ctx context.Context, repository string, tags []oci.Listed) *sieve[oci.Listed] {
	sv := newSieve(repository, latestOf(tags), func(t oci.Listed) string { return t.Tag })
	sv.include(ctx, s.IncludeTags)
	sv.exclude(ctx, "exclude", s.ExcludeTags)
	if s.Versions.String() != "" {
		sv.stage(ctx, "versions", func(t oci.Listed) (bool, string, error) {
			return s.Versions.Match(t.Tag), s.Versions.why(t.Tag), nil
		})
	}
	if s.Running != nil {
		sv.stage(ctx, "in-use", s.Running.why)
	}
	return sv
}

// latestOf keeps one entry for each tag: the one that was set last. A listing that is read in pages can contain a
// tag twice, if tags are set meanwhile.
func latestOf(tags []oci.Listed) []oci.Listed {
	sorted := slices.Clone(tags)
	slices.SortFunc(sorted, func(a, b oci.Listed) int {
		d, e := a.Descriptor, b.Descriptor
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), setAt(b).Compare(setAt(a)),
			cmp.Compare(e.Digest, d.Digest), b.Updated.Compare(a.Updated), b.Created.Compare(a.Created),
			cmp.Compare(e.Size, d.Size), cmp.Compare(e.MediaType, d.MediaType))
	})
	return slices.CompactFunc(sorted, func(a, b oci.Listed) bool { return a.Tag == b.Tag })
}

func setAt(t oci.Listed) time.Time {
	if t.Updated.IsZero() {
		return t.Created
	}
	return t.Updated
}

func (s Selection) isNew(t oci.Listed) (bool, string, error) {
	at := setAt(t)
	if at.IsZero() {
		// Dropping it could lose an image; keeping it costs at most one unnecessary copy.
		return true, "newer-than: its time is not known, so it is kept", nil
	}
	return !at.Before(s.Since), fmt.Sprintf("newer-than %s: set %s", date(s.Since), date(at)), nil
}

// isNewOrOf is isNew, but a digest tag is new only together with the image that it belongs to, one of tags.
func (s Selection) isNewOrOf(tags []oci.Listed) func(oci.Listed) (bool, string, error) {
	fresh := map[oci.Digest]bool{}
	for _, t := range tags {
		if is, _, _ := s.isNew(t); is && !oci.IsDigestTag(t.Tag) {
			fresh[t.Descriptor.Digest] = true
		}
	}
	return func(t oci.Listed) (bool, string, error) {
		if of, _ := oci.TaggedFor(t.Tag); oci.IsDigestTag(t.Tag) && !fresh[of] {
			return false, "newer-than: it belongs to an image that is not selected, or travels with it", nil
		}
		return s.isNew(t)
	}
}

// images counts the tags that are no digest tags.
func images(tags []oci.Listed) int {
	return len(slices.DeleteFunc(slices.Clone(tags), func(t oci.Listed) bool { return oci.IsDigestTag(t.Tag) }))
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// latest keeps the first s.Latest tags in the order.
func (s Selection) latest(ctx context.Context, sv *sieve[oci.Listed]) {
	order := s.Order
	if order == "" && !slices.ContainsFunc(sv.left, func(t oci.Listed) bool { return setAt(t).IsZero() }) {
		order = ByTime
	}
	versions := map[string]*semver.Version{}
	if order == "" || order == ByVersion {
		versions = versionsOf(sv.left)
	}
	if order == "" {
		order = ByName
		if len(versions) > 0 {
			order = ByVersion
		}
	}
	place := places(order, sv.left, versions)
	sv.stage(ctx, "latest", func(t oci.Listed) (bool, string, error) {
		n, ok := place[t.Tag]
		if !ok && oci.IsDigestTag(t.Tag) {
			return false, fmt.Sprintf("latest %d: it belongs to an image, and travels with it", s.Latest), nil
		}
		if !ok {
			return false, fmt.Sprintf("latest %d by %s: not a version", s.Latest, order), nil
		}
		return n <= s.Latest, fmt.Sprintf("latest %d by %s: place %d", s.Latest, order, n), nil
	})
}

// versionsOf returns the versions of the tags that are versions, by tag.
func versionsOf(tags []oci.Listed) map[string]*semver.Version {
	out := map[string]*semver.Version{}
	for _, t := range tags {
		if v, ok := versionOf(t.Tag); ok {
			out[t.Tag] = v
		}
	}
	return out
}

// places numbers the tags from the latest one, which is 1. A digest tag has none and, ByVersion, a tag that is not a
// version.
func places(order Order, tags []oci.Listed, versions map[string]*semver.Version) map[string]int {
	ordered := make([]*oci.Listed, 0, len(tags))
	for i := range tags {
		if (order != ByVersion || versions[tags[i].Tag] != nil) && !oci.IsDigestTag(tags[i].Tag) {
			ordered = append(ordered, &tags[i])
		}
	}
	slices.SortFunc(ordered, func(a, b *oci.Listed) int {
		c := 0
		switch order {
		case ByTime:
			c = setAt(*b).Compare(setAt(*a))
		case ByVersion:
			c = versions[b.Tag].Compare(versions[a.Tag])
		}
		return cmp.Or(c, natural.Compare(b.Tag, a.Tag))
	})
	place := make(map[string]int, len(ordered))
	for i, t := range ordered {
		place[t.Tag] = i + 1
	}
	return place
}
