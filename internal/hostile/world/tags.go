package world

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/plan"
)

// torn returns what is wrong with the names at the target, or "": each of them has all that is below it, and names
// what it named before or what is wished. What nobody asked for is as it was.
func (s *Stage) torn(now map[string]digest.Digest) string {
	h := s.diary.next
	for name, was := range s.before {
		if now[name] == "" {
			return fmt.Sprintf("%s is gone, which was %s", name, was)
		}
	}
	still := len(s.kept()) > 0 && s.Work == Import // all names or none
	for name, is := range now {
		repo, tag, _ := strings.Cut(name, ":")
		got, _, ok := read(h, repo, tag)
		if lacks := lacking(h, repo, got); !ok || lacks != "" {
			return fmt.Sprintf("%s is %s, which lacks %s", name, is, lacks)
		}
		n, wished := s.model.wishes[name]
		switch {
		case is == s.before[name] || wished && n.is(h, is) && !still:
		case strings.HasPrefix(tag, "sha256-") && !still:
			if wrong := s.foreign(n, repo, got, s.before[name]); wrong != "" {
				return fmt.Sprintf("the list %s %s", name, wrong)
			}
		default:
			return fmt.Sprintf("%s is %s, was %q, should be %s", name, is, s.before[name], n.want())
		}
	}
	return ""
}

func (w wish) want() string {
	if w.document == nil {
		return "as it was"
	}
	return w.Digest.String()
}

// foreign returns what is wrong with a list of referrers, or "". It has what it had before, and what travels. n is the
// wish for it, if it is copied as a tag: then dray lists what is below it while it puts that.
func (s *Stage) foreign(n wish, repo string, got shape, was digest.Digest) string {
	has := func(all []v1.Descriptor, d digest.Digest) bool {
		return slices.ContainsFunc(all, func(o v1.Descriptor) bool { return o.Digest == d })
	}
	had, _, _ := read(s.diary.next, repo, was.String())
	for _, d := range had.Manifests {
		if !has(got.Manifests, d.Digest) {
			return "lost " + d.Digest.String()
		}
	}
	for _, d := range got.Manifests {
		travels := slices.ContainsFunc(s.model.travels[repo], func(a attached) bool { return a.Digest == d.Digest })
		if n.document != nil {
			travels = travels || slices.ContainsFunc(n.children, func(c *document) bool { return c.Digest == d.Digest })
		}
		if !travels && !has(had.Manifests, d.Digest) {
			return "names " + d.Digest.String() + ", which nobody asked for"
		}
	}
	return ""
}

// unsigned returns a referrer that the target should list and does not, or "".
func (s *Stage) unsigned() string {
	for _, repo := range slices.Sorted(maps.Keys(s.model.referred)) {
		for _, a := range s.model.referred[repo] {
			all := listed(s.diary.next, repo, a.to.Digest)
			if !slices.ContainsFunc(all, func(d v1.Descriptor) bool { return d.Digest == a.Digest }) {
				return fmt.Sprintf("%s does not list %s as a referrer of %s", repo, a.Digest, a.to.Digest)
			}
		}
	}
	return ""
}

// half returns a list of referrers that names something which is not there, or "".
func (s *Stage) half() string {
	for _, repo := range slices.Sorted(maps.Keys(s.model.travels)) {
		for _, a := range s.model.travels[repo] {
			for _, d := range listed(s.diary.next, repo, a.to.Digest) {
				got, _, ok := read(s.diary.next, repo, d.Digest.String())
				if lacks := lacking(s.diary.next, repo, got); !ok || lacks != "" {
					return fmt.Sprintf("%s lists %s, which lacks %q", repo, d.Digest, lacks)
				}
			}
		}
	}
	return ""
}

// missing lists the names that are not what is wished.
func (s *Stage) missing(now map[string]digest.Digest) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(s.model.wishes)) {
		if !s.model.wishes[name].is(s.diary.next, now[name]) {
			all = append(all, name)
		}
	}
	return all
}

// kept lists the names that are not free and may not move.
func (s *Stage) kept() (all []string) {
	for _, name := range s.missing(s.before) {
		if s.Overwrite == plan.Refuse && s.before[name] != "" {
			all = append(all, name)
		}
	}
	return all
}

// untouched returns a request that the source should not have got, or "".
func (s *Stage) untouched() string {
	for _, q := range s.src.log(s.src.Registry) {
		if q.Method != http.MethodGet && q.Method != http.MethodHead && q.Kind != "token" {
			return fmt.Sprintf("the source got %s %s", q.Method, q.Path)
		}
	}
	return ""
}
