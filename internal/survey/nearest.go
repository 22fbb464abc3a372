package survey

import (
	"cmp"
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
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// NearestLimit is the time limit of a listing that only serves to improve an error text.
const NearestLimit = 5 * time.Second

// Nearest adds a hint to err if err says that n does not exist: the similar tags of the repository, or, if
// that does not exist either, the similar repositories. It costs at most two requests, and only then.
func Nearest(ctx context.Context, s *place.Session, n ref.Name, err error) error {
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || f.Kind != fault.NotFound || fault.HintOf(err) != "" {
		return err
	}
	g := *f
	if g.Hint = similar(ctx, s, n); g.Hint == "" {
		return err
	}
	return &g
}

func similar(ctx context.Context, s *place.Session, n ref.Name) string {
	if n.Tag == "" && n.Digest == "" {
		return nearestRepositories(ctx, s, n.Repo)
	}
	tags, err := firstTags(ctx, s, n.Repo)
	if near := name.Similar(n.Tag, tags); n.Digest == "" && len(near) > 0 {
		return "similar tags in this repository: " + strings.Join(near, ", ")
	}
	if len(tags) > 0 {
		return "see the tags of this repository: " + shell.Dray("ls", n.Repo.String())
	}
	if fault.Is(err, fault.NotFound) || err == nil {
		return cmp.Or(nearestRepositories(ctx, s, n.Repo), "check the spelling of the repository")
	}
	return ""
}

// firstTags returns the tags that a single request lists.
func firstTags(ctx context.Context, s *place.Session, repo ref.Repo) (tags []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, NearestLimit)
	defer cancel()
	if s.Base.Elsewhere(repo) {
		return s.Once(fault.Source, repo, remote.Pull).FirstTags(ctx)
	}
	at, err := s.Source(repo)
	if err == nil {
		err = at.List(ctx, func(l oci.Listed) error { tags = append(tags, l.Tag); return nil })
	}
	return tags, err
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
	if near := name.Similar(repo.Path, repos); len(near) > 0 {
		return "similar repositories in this registry: " + strings.Join(near, ", ")
	}
	return ""
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
	if m.listed == 0 && m.whole && !m.part && !sel.Untagged && len(s.InUse.Images) == 0 {
		lines = append(lines, "the sources have no tags")
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
