// Package latest orders the tags of a repository from the latest one, by what their names or their times say.
package latest

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/drayage/dray/internal/natural"
	"github.com/drayage/dray/oci"
)

// Order is a plan.Order.
type Order string

const (
	byVersion Order = "version"
	byTime    Order = "time"
	byName    Order = "name"
)

// Tag is what orders compare of a tag.
type Tag struct {
	Name string
	Set  time.Time // zero if it is not known
}

// rank is a tag while it is ordered.
type rank struct {
	Tag
	at      int32
	version semver.Version
}

// Places numbers those of n tags that are at the places left, from the latest one, which is 1. The others have 0, and
// so have digest tags and, by version, tags that are not versions. The order "" chooses one.
func Places(order Order, left []int32, n int, tag func(int32) Tag) (Order, []int32) {
	if order == "" && !slices.ContainsFunc(left, func(i int32) bool { return tag(i).Set.IsZero() }) {
		order = byTime
	}
	var ranked []rank
	if order == "" || order == byVersion {
		ranked = versionsOf(left, tag)
		if order == "" && len(ranked) == 0 {
			order = byName
		} else {
			order = byVersion
		}
	}
	for _, i := range left {
		if one := tag(i); order != byVersion && !oci.IsDigestTag(one.Name) {
			ranked = append(ranked, rank{Tag: one, at: i})
		}
	}
	slices.SortFunc(ranked, func(a, b rank) int {
		c := 0
		switch order {
		case byTime:
			c = b.Set.Compare(a.Set)
		case byVersion:
			c = b.version.Compare(&a.version)
		}
		return cmp.Or(c, natural.Compare(b.Name, a.Name))
	})
	place := make([]int32, n)
	for i, r := range ranked {
		place[r.at] = int32(i) + 1
	}
	return order, place
}

// versionsOf returns the tags that are versions.
func versionsOf(left []int32, tag func(int32) Tag) (all []rank) {
	like := versionLike()
	for _, i := range left {
		one := tag(i)
		if v, ok := versionOf(like, one.Name); ok && !oci.IsDigestTag(one.Name) {
			all = append(all, rank{Tag: one, at: i, version: *v})
		}
	}
	return all
}

// Of keeps one entry for each tag, in the order of names: the one that was set last. A listing that is read in pages
// can contain a tag twice, if tags are set meanwhile.
func Of(tags []oci.Listed) []oci.Listed {
	sorted := slices.Clone(tags)
	slices.SortFunc(sorted, func(a, b oci.Listed) int {
		d, e := a.Descriptor, b.Descriptor
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), SetAt(b).Compare(SetAt(a)),
			cmp.Compare(e.Digest, d.Digest), b.Updated.Compare(a.Updated), b.Created.Compare(a.Created),
			cmp.Compare(e.Size, d.Size), cmp.Compare(e.MediaType, d.MediaType))
	})
	return slices.CompactFunc(sorted, func(a, b oci.Listed) bool { return a.Tag == b.Tag })
}

// SetAt returns the time of a tag; zero if it is not known.
func SetAt(t oci.Listed) time.Time {
	if t.Updated.IsZero() {
		return t.Created
	}
	return t.Updated
}

// All returns the places of n tags.
func All(n int) []int32 {
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(i)
	}
	return all
}

// Images counts the tags at some places that are no digest tags.
func Images(places []int32, tag func(int) string) (n int) {
	for _, i := range places {
		if !oci.IsDigestTag(tag(int(i))) {
			n++
		}
	}
	return n
}

// VersionOf reads tag as a version; it reports false if tag is not one.
func VersionOf(tag string) (*semver.Version, bool) { return versionOf(versionLike(), tag) }

// A version needs at least two numbers, because a single number is often a build number or a date. Most runs need no
// versions, and compiling the expression would delay the start of a small command.
var versionLike = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^v?[0-9]+\.[0-9]+([.\-_]|$)`)
})

func versionOf(like *regexp.Regexp, tag string) (*semver.Version, bool) {
	if !like.MatchString(tag) {
		return nil, false
	}
	n, err := semver.NewVersion(strings.Replace(tag, "_", "+", 1))
	return n, err == nil
}
