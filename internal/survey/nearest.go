package survey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// NearestLimit is the time limit of a listing that only serves to improve an error text.
const NearestLimit = 5 * time.Second

// Nearest adds a hint to err if err says that a tag does not exist: the tags of the repository
// whose names are similar, or how to find its name. It costs one request, and only in the case of an error.
func Nearest(ctx context.Context, s *place.Session, n ref.Name, err error) error {
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || f.Kind != fault.NotFound || n.Tag == "" || n.Digest != "" || fault.HintOf(err) != "" {
		return err
	}
	g, tags := *f, firstTags(ctx, s, fault.Source, n.Repo)
	switch near := name.Similar(n.Tag, tags); {
	case len(near) > 0:
		g.Hint = "similar tags in this repository: " + strings.Join(near, ", ")
	case len(tags) > 0:
		g.Hint = "list the tags of this repository with: dray ls " + n.Repo.String()
	default:
		g.Hint = "check the spelling of the repository"
	}
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

// nearestRepositories returns the hint that names repositories similar to repo; "" if there are none. It
// costs one request. Its errors are ignored.
func nearestRepositories(ctx context.Context, s *place.Session, repo ref.Repo) string {
	if !s.Base.Elsewhere(repo) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, NearestLimit)
	defer cancel()
	use := remote.Use{Login: s.Logins[fault.Source], Observe: s.Watch()}
	repos, _ := s.Base.Remote.FirstRepositories(ctx, repo.Host, use)
	if slices.ContainsFunc(repos, func(path string) bool { return strings.HasPrefix(path, repo.Path+"/") }) {
		return "" // it is the prefix of others
	}
	near := name.Similar(repo.Path, repos)
	if len(near) == 0 {
		return ""
	}
	return "similar repositories in this registry: " + strings.Join(near, ", ")
}

// like returns the name that the rule may have meant, to find similar names: a glob without its
// wildcards. It is "" for letters and for expressions.
func (i idle) like() string {
	if i.rule == "letters" || strings.HasPrefix(i.text, "re:") {
		return ""
	}
	return strings.Trim(strings.NewReplacer("*", "", "?", "").Replace(i.text), "/-.")
}

// IdleRepositories returns a line for each rule about repositories that matches none of all.
func IdleRepositories(s plan.Selection, all []string) (lines []string) {
	rules := idleOf("include", s.IncludeRepositories, all)
	if s.Letters.String() != "" && !slices.ContainsFunc(all, s.Letters.Match) {
		rules = append(rules, idle{"letters", s.Letters.String()})
	}
	for _, i := range rules {
		lines = append(lines, i.line("repository", len(all), all))
	}
	return lines
}

// IdleTags returns a line for each rule about tags that matches no tag of the sources, and one if no tag
// is selected.
func (s *Scope) IdleTags() (lines []string) {
	m, sel := s.matches, s.Selection
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range m.idle {
		lines = append(lines, i.line("tag", m.listed, m.names))
	}
	chooses := len(sel.IncludeTags)+len(sel.ExcludeTags) > 0 || sel.Versions.String() != "" || !sel.Since.IsZero()
	if m.listed > 0 && m.kept == 0 && chooses && !sel.Untagged {
		lines = append(lines, fmt.Sprintf("none of the %d tags of the sources is selected", m.listed))
	}
	return lines
}

// line says that i matches none of the total names, and which of them are similar to it. what is "tag" or
// "repository".
func (i idle) line(what string, total int, names []string) string {
	line := fmt.Sprintf("%s %q matches no %s of %d", i.rule, i.text, what, total)
	var near []string
	if like := i.like(); like != "" {
		near = name.Similar(like, name.WithPrefixes(names))
	}
	if len(near) > 0 {
		line += "; similar: " + strings.Join(near, ", ")
	}
	return line
}
