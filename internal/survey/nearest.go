package survey

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// NearestLimit is the time limit of a listing that only serves to improve an error text.
const NearestLimit = 5 * time.Second

// Nearest adds a hint to err if err says that a tag does not exist: the tags of the repository
// whose names are similar. It costs one request, and only in the case of an error.
func Nearest(ctx context.Context, s *place.Session, n ref.Name, err error) error {
	if !fault.Is(err, fault.NotFound) || n.Tag == "" || n.Digest != "" || fault.HintOf(err) != "" {
		return err
	}
	tags := firstTags(ctx, s, fault.Source, n.Repo)
	near := NearestOf(n.Tag, tags)
	if len(near) == 0 {
		return err
	}
	var f *fault.Fault
	if !errors.As(err, &f) {
		return err
	}
	g := *f
	g.Hint = "similar tags in this repository: " + strings.Join(near, ", ")
	return &g
}

// firstTags returns the tags that a single request lists. Its errors are ignored: the result only
// improves a hint.
func firstTags(ctx context.Context, s *place.Session, side fault.Side, repo ref.Repo) []string {
	ctx, cancel := context.WithTimeout(ctx, NearestLimit)
	defer cancel()
	if s.Base.Elsewhere(repo) {
		tags, _ := s.Once(side, repo, remote.Pull).FirstTags(ctx)
		return tags
	}
	var tags []string
	if at, err := s.Source(repo); err == nil {
		_ = at.List(ctx, func(l oci.Listed) error {
			tags = append(tags, l.Tag)
			return nil
		})
	}
	return tags
}

// NearestOf picks up to three of the names in have that resemble want.
func NearestOf(want string, have []string) []string {
	type candidate struct {
		name  string
		far   int
		edits int
	}
	var all []candidate
	for _, name := range have {
		edits := levenshtein.Distance(want, name, nil)
		far := edits
		if strings.Contains(name, want) || strings.Contains(want, name) {
			far = min(far, 2)
		}
		if far <= max(2, len(want)/3) && name != want {
			all = append(all, candidate{name, far, edits})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.far, b.far),
			cmp.Compare(a.edits, b.edits),
			strings.Compare(b.name, a.name),
		)
	})
	var names []string
	for _, c := range all[:min(len(all), 3)] {
		names = append(names, c.name)
	}
	return names
}
