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

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/latest"
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
	sv := newSieve("repositories", each, func(name string) string { return name }, EachName)
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
	sv := newSieve("repositories", each, func(name string) string { return name }, EachName)
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

// Listing is the tags of a repository in the order of their names, each once, however they are kept.
type Listing interface {
	Len() int
	Tag(i int) string
	At(i int) oci.Listed
}

type tagList []oci.Listed

func (l tagList) Len() int            { return len(l) }
func (l tagList) Tag(i int) string    { return l[i].Tag }
func (l tagList) At(i int) oci.Listed { return l[i] }

func (l tagList) of(places []int32) []oci.Listed {
	kept := make([]oci.Listed, len(places))
	for i, at := range places {
		kept[i] = l[at]
	}
	return kept
}

// UsesTimes reports whether [Selection.Tags] uses the times of tags if they are known.
func (s Selection) UsesTimes() bool { return !s.Since.IsZero() || s.Latest > 0 }

// Candidates is like [Selection.Tags], but applies only the rules that use neither times nor numbers of tags.
func (s Selection) Candidates(
	ctx context.Context, repository string, tags []oci.Listed,
) (kept []oci.Listed, why Explain, err error) {
	each := tagList(latest.Of(tags))
	sv := s.byName(ctx, repository, each, EachName)
	return each.of(sv.left), sv.Explain, sv.err
}

// ChooseByName is Candidates for a Listing. It returns the places of the tags that are kept.
func (s Selection) ChooseByName(ctx context.Context, repository string, tags Listing) (kept []int32, err error) {
	sv := s.byName(ctx, repository, tags, StagesOnly)
	return sv.left, sv.err
}

// Tags returns the tags of one repository that s keeps, in the order of their names. The time of a tag is its
// Updated or, if that is zero, its Created. If a tag is listed twice, the entry that was set last counts.
//
// The error is [fault.TooLarge] if a regular expression took too long, [fault.Invalid] if s.Order is not known,
// and [fault.Refused] if fewer than s.MinTags tags are kept. The explanation is returned also with an error.
func (s Selection) Tags(
	ctx context.Context, repository string, tags []oci.Listed,
) (kept []oci.Listed, why Explain, err error) {
	each := tagList(latest.Of(tags))
	places, why, err := s.Choose(ctx, repository, each, EachName)
	return each.of(places), why, err
}

// Choose is [Selection.Tags] for a Listing. It returns the places of the tags that are kept.
func (s Selection) Choose(
	ctx context.Context, repository string, tags Listing, detail Detail,
) (kept []int32, why Explain, err error) {
	if _, err := ParseOrder(string(s.Order)); err != nil {
		return nil, newSieve(repository, nil, func(int32) string { return "" }, detail).Explain, err
	}
	sv := s.byName(ctx, repository, tags, detail)
	if !s.Since.IsZero() {
		s.newerThan(ctx, sv, tags)
	}
	if s.Latest > 0 && sv.err == nil {
		s.latest(ctx, sv, tags)
	}
	if s.MinTags == 0 || sv.err != nil {
		return sv.left, sv.Explain, sv.err
	}
	if left := latest.Images(sv.left, tags.Tag); left < s.MinTags {
		sv.err = &fault.Fault{Kind: fault.Refused, Op: "select tags", Name: repository,
			Err: fmt.Errorf("%d of %d tags are left, but at least %d are required", left,
				latest.Images(latest.All(tags.Len()), tags.Tag), s.MinTags),
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
	sv := newSieve(repository+" without a tag", each, digest, EachName)
	if !s.Since.IsZero() {
		sv.stage(ctx, "newer-than", func(t oci.Listed) (bool, string, error) { return s.isNew(t), s.whyNew(t), nil })
	}
	return sv.left, sv.Explain, sv.err
}

// ChoosesTags reports whether a rule chooses among tags by what they are called, or by how many there are.
func (s Selection) ChoosesTags() bool {
	return len(s.IncludeTags)+len(s.ExcludeTags) > 0 || s.Versions.String() != "" || s.Running != nil || s.Latest > 0
}

func (s Selection) byName(ctx context.Context, repository string, tags Listing, detail Detail) *sieve[int32] {
	sv := newSieve(repository, latest.All(tags.Len()), func(i int32) string { return tags.Tag(int(i)) }, detail)
	sv.include(ctx, s.IncludeTags)
	sv.exclude(ctx, "exclude", s.ExcludeTags)
	if s.Versions.String() != "" {
		sv.stage(ctx, "versions", func(i int32) (bool, string, error) {
			tag := tags.Tag(int(i))
			return s.Versions.Match(tag), sv.because(func() string { return s.Versions.why(tag) }), nil
		})
	}
	if s.Running != nil {
		sv.stage(ctx, "in-use", func(i int32) (bool, string, error) { return s.Running.why(tags.At(int(i))) })
	}
	return sv
}

func (s Selection) isNew(t oci.Listed) bool {
	at := latest.SetAt(t)
	// Dropping a tag without a time could lose an image; keeping it costs at most one unnecessary copy.
	return at.IsZero() || !at.Before(s.Since)
}

func (s Selection) whyNew(t oci.Listed) string {
	if at := latest.SetAt(t); !at.IsZero() {
		return fmt.Sprintf("newer-than %s: set %s", date(s.Since), date(at))
	}
	return "newer-than: its time is not known, so it is kept"
}

// newerThan keeps the tags that are new. A digest tag is new only together with the image that it belongs to.
func (s Selection) newerThan(ctx context.Context, sv *sieve[int32], tags Listing) {
	fresh := map[oci.Digest]bool{} // the images that digest tags belong to, and whether they are new
	for _, i := range sv.left {
		if of, list := oci.TaggedFor(tags.Tag(int(i))); of != "" && !list {
			fresh[of] = false
		}
	}
	for i := 0; i < len(sv.left) && len(fresh) > 0; i++ {
		t := tags.At(int(sv.left[i]))
		if _, has := fresh[t.Descriptor.Digest]; has && s.isNew(t) && !oci.IsDigestTag(t.Tag) {
			fresh[t.Descriptor.Digest] = true
		}
	}
	sv.stage(ctx, "newer-than", func(i int32) (bool, string, error) {
		t := tags.At(int(i))
		if of, list := oci.TaggedFor(t.Tag); of != "" && !list && !fresh[of] {
			return false, "newer-than: it belongs to an image that is not selected, or travels with it", nil
		}
		return s.isNew(t), sv.because(func() string { return s.whyNew(t) }), nil
	})
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// latest keeps the first s.Latest tags in the order.
func (s Selection) latest(ctx context.Context, sv *sieve[int32], tags Listing) {
	one := func(i int32) latest.Tag { t := tags.At(int(i)); return latest.Tag{Name: t.Tag, Set: latest.SetAt(t)} }
	order, place := latest.Places(latest.Order(s.Order), sv.left, tags.Len(), one)
	sv.stage(ctx, "latest", func(i int32) (bool, string, error) {
		n := place[i]
		return n > 0 && int(n) <= s.Latest, sv.because(func() string {
			switch {
			case n == 0 && oci.IsDigestTag(tags.Tag(int(i))):
				return fmt.Sprintf("latest %d: it belongs to an image, and travels with it", s.Latest)
			case n == 0:
				return fmt.Sprintf("latest %d by %s: not a version", s.Latest, order)
			}
			return fmt.Sprintf("latest %d by %s: place %d", s.Latest, order, n)
		}), nil
	})
}
