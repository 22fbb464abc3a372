package dray

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// nearestLimit is how long a list may take that only helps to word an error.
const nearestLimit = 5 * time.Second

// nearest adds to err, when it says that a tag is not there, the tags of the
// repository that look like it. It costs one request, on failure only.
func (s *session) nearest(ctx context.Context, n ref.Name, err error) error {
	if !fault.Is(err, fault.NotFound) || n.Tag == "" || n.Digest != "" || fault.HintOf(err) != "" {
		return err
	}
	tags := s.someTags(ctx, fault.Source, n.Repo)
	near := nearestOf(n.Tag, tags)
	if len(near) == 0 {
		return err
	}
	var f *fault.Fault
	if !errors.As(err, &f) {
		return err
	}
	g := *f
	g.Hint = "the nearest tags there: " + strings.Join(near, ", ")
	return &g
}

// someTags are the tags that one request tells of, or none. What goes wrong with it is told by nobody.
func (s *session) someTags(ctx context.Context, side fault.Side, repo ref.Repo) []string {
	ctx, cancel := context.WithTimeout(ctx, nearestLimit)
	defer cancel()
	if s.base.elsewhere(repo) {
		tags, _ := s.registry(side, repo, remote.Pull).FirstTags(ctx)
		return tags
	}
	var tags []string
	if at, err := s.source(repo); err == nil {
		_ = at.List(ctx, func(l oci.Listed) error {
			tags = append(tags, l.Tag)
			return nil
		})
	}
	return tags
}

// registry opens a repository of a registry to ask what transfers do not, and gives up at the first trouble.
func (s *session) registry(side fault.Side, repo ref.Repo, actions remote.Actions) *remote.Repository {
	return s.base.remote.Open(repo, remote.Use{Actions: actions, Login: s.logins[side], Observe: s.observe}).Once()
}

// nearestOf picks up to three of have that want may have meant.
func nearestOf(want string, have []string) []string {
	type candidate struct {
		name string
		far  int
	}
	var all []candidate
	for _, name := range have {
		far := levenshtein.Distance(want, name, nil)
		if strings.Contains(name, want) || strings.Contains(want, name) {
			far = min(far, 2)
		}
		if far <= max(2, len(want)/3) && name != want {
			all = append(all, candidate{name, far})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(levenshtein.Distance(want, a.name, nil), levenshtein.Distance(want, b.name, nil)), strings.Compare(b.name, a.name))
	})
	var names []string
	for _, c := range all[:min(len(all), 3)] {
		names = append(names, c.name)
	}
	return names
}
