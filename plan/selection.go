package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// Selection says which repositories and tags take part. The zero Selection takes all.
// Each rule that is given is one stage, and what a stage drops no later one sees.
type Selection struct {
	// Repositories, by their path without the host: letters, ignore, include, exclude.
	Repository          string   // only this one, if it is there; the other rules about repositories do not count
	Letters             Letters  // by first letter
	Ignore              Patterns // acr_transfer's word for exclude
	IncludeRepositories Patterns // none is all
	ExcludeRepositories Patterns
	MaxRepositories     int // applied by Limit alone; 0 is no limit

	// Tags: include, exclude, versions, in-use, newer-than, latest, min-tags.
	IncludeTags Patterns // none is all
	ExcludeTags Patterns
	Versions    Versions  // a range of versions
	Running     *Running  // only what runs, of the repository whose tags these are; nil is no rule
	Since       time.Time // tags last set before it are dropped, those without a time stay; zero drops none
	Latest      int       // that many, the first in Order; 0 is all
	Order       Order     // what Latest means; "" chooses for each repository
	MinTags     int       // fewer in a repository is an error; 0 is no guard

	// Untagged takes manifests too that no tag and no index names, where the registry lists
	// them. Of the rules about tags only Since looks at them.
	Untagged bool
}

// Words are a Selection as people write it.
type Words struct {
	Repository          string
	Letters             string   // as ParseLetters reads them
	Ignore              []string // as ParseIgnore
	IncludeRepositories []string // these and the next as ParsePatterns
	ExcludeRepositories []string
	MaxRepositories     int
	IncludeTags         []string
	ExcludeTags         []string
	Versions            string // as ParseVersions
	NewerThan           string // as ParseAge; "" is no rule
	Latest              int
	Order               string // as ParseOrder
	MinTags             int
	Untagged            bool
}

// Selection reads the words; now is what ages count from. The error is that of the first
// word that is wrong, and Invalid.
func (w Words) Selection(now time.Time) (Selection, error) {
	s := Selection{Repository: w.Repository, MaxRepositories: w.MaxRepositories, Latest: w.Latest, MinTags: w.MinTags, Untagged: w.Untagged}
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

// Order is what makes one tag later than another. Where it does not tell two tags apart
// their names do, in natural order (rc10 after rc9).
type Order string

const (
	ByVersion Order = "version" // the highest version, prereleases among them; what is none is dropped (see Versions)
	ByTime    Order = "time"    // set last; tags without a time come after all that have one
	ByName    Order = "name"    // natural order of names
	// "" is ByTime where every tag has a time, else ByVersion where one at least is a version, else ByName.
)

// ParseOrder reads "", "version", "time" or "name". The error is Invalid.
func ParseOrder(s string) (Order, error) {
	if o := Order(s); slices.Contains([]Order{"", ByVersion, ByTime, ByName}, o) {
		return o, nil
	}
	return "", &fault.Fault{Kind: fault.Invalid, Op: "read order", Name: shown(s), Err: fmt.Errorf("not one of version, time, name")}
}

// ParseAge reads a positive age: whole days "90d", weeks "2w", or what
// time.ParseDuration reads, as "36h". The caller takes it off its clock for Since. The error is Invalid.
func ParseAge(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	age, err := time.ParseDuration(s)
	for unit, length := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			var n int64
			n, err = strconv.ParseInt(number, 10, 32)
			if age = time.Duration(n) * length; age/length != time.Duration(n) {
				err = fmt.Errorf("too long")
			}
		}
	}
	if err == nil && age <= 0 {
		err = fmt.Errorf("not longer than nothing")
	}
	if err != nil {
		return 0, &fault.Fault{Kind: fault.Invalid, Op: "read age", Name: shown(s), Err: err, Hint: "as in 90d, 2w or 36h"}
	}
	return age, nil
}

// Repositories returns those of all that take part, in the order of their names, each
// once. The error is TooLarge: an expression took longer than its limit; the explanation
// then ends there.
func (s Selection) Repositories(all []string) (kept []string, why Explain, err error) {
	sv := newSieve("repositories", slices.Compact(slices.Sorted(slices.Values(all))), func(name string) string { return name })
	if s.Repository != "" {
		sv.stage("repository", func(name string) (bool, string, error) {
			return name == s.Repository, fmt.Sprintf("repository %q", s.Repository), nil
		})
		if len(sv.left) == 0 {
			sv.Warnings = append(sv.Warnings, fmt.Sprintf("repository %q is not there", s.Repository))
		}
		return sv.left, sv.Explain, sv.err
	}
	if s.Letters.String() != "" {
		sv.stage("letters", func(name string) (bool, string, error) {
			return s.Letters.Match(name), s.Letters.why(name), nil
		})
	}
	sv.exclude("ignore", s.Ignore)
	sv.include(s.IncludeRepositories)
	sv.exclude("exclude", s.ExcludeRepositories)
	if w := s.Letters.Warning(); w != "" {
		sv.Warnings = append(sv.Warnings, w)
	}
	sv.Warnings = append(sv.Warnings, s.Ignore.Warnings()...)
	return sv.left, sv.Explain, sv.err
}

// Limit returns the first MaxRepositories, by name, of the repositories in which something is
// to be done: acr_transfer counts only those.
func (s Selection) Limit(needing []string) (kept []string, why Explain) {
	sv := newSieve("repositories", slices.Compact(slices.Sorted(slices.Values(needing))), func(name string) string { return name })
	if s.MaxRepositories > 0 {
		place := 0
		sv.stage("max-repositories", func(string) (bool, string, error) {
			place++
			return place <= s.MaxRepositories, fmt.Sprintf("max-repositories %d: place %d", s.MaxRepositories, place), nil
		})
	}
	return sv.left, sv.Explain
}

// NeedsTimes reports whether Tags can only be exact when tags carry times. A caller whose
// listing has none looks them up for the Candidates first.
func (s Selection) NeedsTimes() bool {
	return !s.Since.IsZero() || s.Latest > 0 && s.Order == ByTime
}

// Candidates is Tags up to the rules that look at times or count tags.
func (s Selection) Candidates(repository string, tags []oci.Listed) (kept []oci.Listed, why Explain, err error) {
	sv := s.byName(repository, tags)
	return sv.left, sv.Explain, sv.err
}

// Tags returns the tags of one repository that take part, in the order of their names. A tag's time
// is its Updated, or its Created where that is zero. A tag that is listed twice counts once:
// as it was set last. The error is TooLarge (an expression took longer than its limit), Invalid
// (Order is unknown) or Refused: fewer than MinTags are left. The explanation is there all the same.
func (s Selection) Tags(repository string, tags []oci.Listed) (kept []oci.Listed, why Explain, err error) {
	if _, err := ParseOrder(string(s.Order)); err != nil {
		return nil, newSieve(repository, nil, func(t oci.Listed) string { return t.Tag }).Explain, err
	}
	sv := s.byName(repository, tags)
	if !s.Since.IsZero() {
		sv.stage("newer-than", s.isNew)
	}
	if s.Latest > 0 && sv.err == nil {
		s.latest(sv)
	}
	if left := len(sv.left); left < s.MinTags && sv.err == nil {
		sv.err = &fault.Fault{Kind: fault.Refused, Op: "select tags", Name: repository,
			Err:  fmt.Errorf("%d of %d tags are left, and at least %d are asked for", left, sv.Total, s.MinTags),
			Hint: "--explain says which rule dropped each tag"}
	}
	return sv.left, sv.Explain, sv.err
}

// Loose returns those manifests of a repository that no tag names which take part, in the
// order of their digests. Of the rules about tags only Since looks at them.
func (s Selection) Loose(repository string, all []oci.Listed) (kept []oci.Listed, why Explain) {
	digest := func(t oci.Listed) string { return string(t.Descriptor.Digest) }
	sorted := slices.SortedFunc(slices.Values(all), func(a, b oci.Listed) int { return cmp.Compare(digest(a), digest(b)) })
	sv := newSieve(repository+" without a tag", slices.CompactFunc(sorted, func(a, b oci.Listed) bool { return digest(a) == digest(b) }), digest)
	if !s.Since.IsZero() {
		sv.stage("newer-than", s.isNew)
	}
	return sv.left, sv.Explain
}

func (s Selection) byName(repository string, tags []oci.Listed) *sieve[oci.Listed] {
	sv := newSieve(repository, once(tags), func(t oci.Listed) string { return t.Tag })
	sv.include(s.IncludeTags)
	sv.exclude("exclude", s.ExcludeTags)
	if s.Versions.String() != "" {
		sv.stage("versions", func(t oci.Listed) (bool, string, error) {
			return s.Versions.Match(t.Tag), s.Versions.why(t.Tag), nil
		})
	}
	if s.Running != nil {
		sv.stage("in-use", s.Running.why)
	}
	return sv
}

// once leaves of each tag the entry that was set last. Listings that are read in pages
// while tags move tell some of them twice.
func once(tags []oci.Listed) []oci.Listed {
	sorted := slices.Clone(tags)
	slices.SortFunc(sorted, func(a, b oci.Listed) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), setAt(b).Compare(setAt(a)), cmp.Compare(b.Descriptor.Digest, a.Descriptor.Digest),
			b.Updated.Compare(a.Updated), b.Created.Compare(a.Created), cmp.Compare(b.Descriptor.Size, a.Descriptor.Size), cmp.Compare(b.Descriptor.MediaType, a.Descriptor.MediaType))
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
		// Leaving it out could lose it; taking it along costs a copy at most.
		return true, "newer-than: no time is known, so it stays", nil
	}
	return !at.Before(s.Since), fmt.Sprintf("newer-than %s: set %s", date(s.Since), date(at)), nil
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// latest leaves the first tags in the order.
func (s Selection) latest(sv *sieve[oci.Listed]) {
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
	sv.stage("latest", func(t oci.Listed) (bool, string, error) {
		n, ok := place[t.Tag]
		if !ok {
			return false, fmt.Sprintf("latest %d by %s: no version", s.Latest, order), nil
		}
		return n <= s.Latest, fmt.Sprintf("latest %d by %s: place %d", s.Latest, order, n), nil
	})
}

// versionsOf reads the tags that are versions.
func versionsOf(tags []oci.Listed) map[string]*semver.Version {
	out := map[string]*semver.Version{}
	for _, t := range tags {
		if v, ok := versionOf(t.Tag); ok {
			out[t.Tag] = v
		}
	}
	return out
}

// places numbers the tags from the latest, which is 1. By version, what is none has no place.
func places(order Order, tags []oci.Listed, versions map[string]*semver.Version) map[string]int {
	ordered := make([]*oci.Listed, 0, len(tags))
	for i := range tags {
		if order != ByVersion || versions[tags[i].Tag] != nil {
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
		return cmp.Or(c, natural(b.Tag, a.Tag))
	})
	place := make(map[string]int, len(ordered))
	for i, t := range ordered {
		place[t.Tag] = i + 1
	}
	return place
}
