// Package idle finds the rules of a transfer that match nothing. Most of them are typing errors, and what
// such a rule should have excluded would be sent without a word.
package idle

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Limits of what is kept and told.
const (
	maxNames = 1000 // names to find similar ones
	maxShare = 100  // those of a part of the sources
	maxLines = 3    // lines for the rules of one kind; more rules are counted in one line
)

// Rule is a rule that matches nothing.
type Rule struct {
	Kind string `json:"kind"`           // the flag or the key of the configuration: "include", "map"
	Text string `json:"text"`           // as it was written
	Like string `json:"like,omitempty"` // the name that it may have meant; "" if it is not a name
}

// Repositories returns lines for the rules of s that match none of all, the paths of the listed repositories.
func Repositories(ctx context.Context, s plan.Selection, all []string) []string {
	rules := among(ctx, "include", s.IncludeRepositories, all)
	if s.Letters.String() != "" && !slices.ContainsFunc(all, s.Letters.Match) {
		rules = append(rules, Rule{Kind: "letters", Text: s.Letters.String()})
	}
	rules = append(rules, among(ctx, "exclude", s.ExcludeRepositories, all)...)
	return lines(append(rules, among(ctx, "ignore-pattern", s.Ignore, all)...), "repository", len(all), all)
}

// Renames returns lines for the rules of m that change none of the paths, those of the selected repositories.
func Renames(ctx context.Context, m plan.Mapping, paths []string) []string {
	var rules []Rule
	if prefix := strings.TrimSuffix(m.StripPrefix, "/"); prefix != "" {
		strips := func(path string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }
		if !slices.ContainsFunc(paths, strips) {
			rules = append(rules, Rule{"strip", m.StripPrefix, prefix})
		}
	}
	used := make([]bool, len(m.Rename))
	for _, path := range paths {
		mark(ctx, used, m.Rename, m.Stripped(path))
	}
	return lines(append(rules, unused("rewrite", m.Rename, used)...), "selected repository", len(paths), paths)
}

// Tags tracks which rules about tags match none of the tags of all sources. The zero Tags has seen none. It is
// safe for concurrent use.
type Tags struct {
	mu       sync.Mutex
	seen     map[ref.Repo]bool
	idle     []Rule          // of the tags so far
	keys     map[string]bool // the tags that pairs name, and whether one of them is selected
	renamed  []bool          // which substitutions apply to a selected tag
	names    []string        // some of the tags
	chosen   []string        // some of the selected tags
	listed   int
	selected int
	part     bool // of a source, only the newest tags were listed
	added    int  // sources that others saw
}

// Share is what Tags knows about a part of the sources, in a form that can be stored. Add puts it together with what is
// known about the other sources.
type Share struct {
	Sources  int             `json:"sources,omitempty"`
	Idle     []Rule          `json:"idle,omitempty"`
	Keys     map[string]bool `json:"keys,omitempty"`
	Renamed  []bool          `json:"renamed,omitempty"`
	Names    []string        `json:"names,omitempty"`  // each once, if there is a rule whose name may resemble one of them
	Chosen   []string        `json:"chosen,omitempty"` // the same, of the selected tags
	Listed   int             `json:"listed,omitempty"`
	Selected int             `json:"selected,omitempty"`
	Part     bool            `json:"part,omitempty"`
}

// Share returns what t knows.
func (t *Tags) Share() Share {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Share{Sources: len(t.seen) + t.added, Idle: t.idle, Keys: t.keys, Renamed: t.renamed,
		Listed: t.listed, Selected: t.selected, Part: t.part}
	if len(t.idle) > 0 {
		s.Names = once(t.names)
	}
	unnamed := func(used bool) bool { return !used }
	if slices.ContainsFunc(slices.Collect(maps.Values(t.keys)), unnamed) || slices.ContainsFunc(t.renamed, unnamed) {
		s.Chosen = once(t.chosen)
	}
	return s
}

// once returns the first names, each once.
func once(names []string) (some []string) {
	known := map[string]bool{}
	for _, n := range names {
		if !known[n] && len(some) < maxShare {
			known[n] = true
			some = append(some, n)
		}
	}
	return some
}

// Add adds what is known about sources that t has not seen.
func (t *Tags) Add(s Share) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.part = t.part || s.Part
	if s.Sources == 0 {
		return
	}
	if len(t.seen)+t.added == 0 {
		t.idle, t.keys, t.renamed = slices.Clone(s.Idle), map[string]bool{}, slices.Clone(s.Renamed)
	}
	t.added += s.Sources
	t.idle = slices.DeleteFunc(t.idle, func(r Rule) bool { return !slices.Contains(s.Idle, r) })
	for key, used := range s.Keys {
		t.keys[key] = t.keys[key] || used
	}
	for i := range min(len(t.renamed), len(s.Renamed)) {
		t.renamed[i] = t.renamed[i] || s.Renamed[i]
	}
	t.names = append(t.names, s.Names[:min(len(s.Names), maxNames-len(t.names))]...)
	t.chosen = append(t.chosen, s.Chosen[:min(len(s.Chosen), maxNames-len(t.chosen))]...)
	t.listed, t.selected = t.listed+s.Listed, t.selected+s.Selected
}

// Saw records the tags of repo and the places of those that sel keeps, which m renames. A repository that is
// surveyed again does not count twice.
func (t *Tags) Saw(
	ctx context.Context, repo ref.Repo, sel plan.Selection, m plan.TagMap, tags plan.Listing, kept []int32,
) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[repo] {
		return
	}
	if t.seen == nil {
		t.seen, t.keys, t.renamed = map[ref.Repo]bool{}, map[string]bool{}, make([]bool, len(m.Rename))
		t.idle = append(among(ctx, "include-tags", sel.IncludeTags, nil), among(ctx, "exclude-tags", sel.ExcludeTags, nil)...)
		for _, key := range m.Keys() {
			t.keys[key] = false
		}
	}
	t.seen[repo] = true
	for _, at := range kept {
		if len(t.keys)+len(t.renamed) == 0 {
			break
		}
		tag := tags.Tag(int(at))
		if _, named := t.keys[tag]; named {
			t.keys[tag] = true
		} else {
			mark(ctx, t.renamed, m.Rename, tag)
		}
	}
	if len(t.idle) > 0 {
		names := make([]string, tags.Len())
		for i := range names {
			names[i] = tags.Tag(i)
		}
		still := append(among(ctx, "include-tags", sel.IncludeTags, names),
			among(ctx, "exclude-tags", sel.ExcludeTags, names)...)
		t.idle = slices.DeleteFunc(t.idle, func(r Rule) bool { return !slices.Contains(still, r) })
	}
	for i := range min(tags.Len(), maxNames-len(t.names)) {
		t.names = append(t.names, strings.Clone(tags.Tag(i)))
	}
	for _, at := range kept[:min(len(kept), maxNames-len(t.chosen))] {
		t.chosen = append(t.chosen, strings.Clone(tags.Tag(int(at))))
	}
	t.listed, t.selected = t.listed+tags.Len(), t.selected+len(kept)
}

// Part records that the tags of a source that were listed are not all that it has: only the newest were listed, or it
// has images without a tag.
func (t *Tags) Part() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.part = true
}

// Empty reports whether all tags of all sources were listed, and there are none.
func (t *Tags) Empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.seen)+t.added > 0 && t.listed == 0 && !t.part
}

// Lines returns lines for the rules that matched no tag, and one if no tag is selected.
func (t *Tags) Lines(sel plan.Selection, m plan.TagMap) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := lines(t.idle, "tag", t.listed, t.names)
	chooses := len(sel.IncludeTags)+len(sel.ExcludeTags) > 0 || sel.Versions.String() != "" || !sel.Since.IsZero()
	if t.listed > 0 && t.selected == 0 && chooses && !sel.Untagged {
		out = append(out, fmt.Sprintf("none of the %d tags of the sources is selected", t.listed))
	}
	if t.selected == 0 {
		return out
	}
	var rules []Rule
	for _, key := range m.Keys() {
		if !t.keys[key] {
			rules = append(rules, Rule{"map", key, key})
		}
	}
	rules = append(rules, unused("rename", m.Rename, t.renamed)...)
	return append(out, lines(rules, "selected tag", t.selected, t.chosen)...)
}

// among returns the patterns that match none of all. A pattern that takes too long counts as one that
// matches, since the selection fails with its error, and so does each of them if ctx has ended.
func among(ctx context.Context, kind string, ps plan.Patterns, all []string) (rules []Rule) {
	for _, p := range ps {
		matches := func(name string) bool {
			if ctx.Err() != nil {
				return true
			}
			ok, err := p.Match(name)
			return ok || err != nil
		}
		if !slices.ContainsFunc(all, matches) {
			rules = append(rules, Rule{kind, p.String(), likeOf(p.String())})
		}
	}
	return rules
}

// likeOf returns the name that a pattern may have meant: a glob without its wildcards; "" for expressions.
func likeOf(pattern string) string {
	if strings.HasPrefix(pattern, "re:") {
		return ""
	}
	return strings.Trim(strings.NewReplacer("*", "", "?", "").Replace(pattern), "/-.")
}

// mark sets used for the substitutions that apply to s, each to the result of those before it. If one makes s too long,
// which is an error, nobody knows whether the others apply. If ctx has ended, the run ends with an error anyway.
func mark(ctx context.Context, used []bool, all plan.Renames, s string) {
	for i, sub := range all {
		if !slices.Contains(used, false) || ctx.Err() != nil {
			return
		}
		used[i] = used[i] || sub.Match.MatchString(s)
		to, err := all[i:i+1].Apply(s, ref.MaxPath)
		if err != nil {
			for j := range used[i:] {
				used[i+j] = true
			}
			return
		}
		s = to
	}
}

func unused(kind string, all plan.Renames, used []bool) (rules []Rule) {
	for i, sub := range all {
		if !used[i] {
			rules = append(rules, Rule{kind, sub.Match.String(), literal(sub.Match)})
		}
	}
	return rules
}

// literal returns the text with which each match of an expression begins, if that is all of it; "" otherwise.
func literal(expression *regexp.Regexp) string {
	prefix, whole := expression.LiteralPrefix()
	if !whole {
		return ""
	}
	return prefix
}

// lines says which rules match none of the total names, and which of the names are similar. what is one of
// them: "tag", "repository". Of many rules of one kind it names only the first.
func lines(rules []Rule, what string, total int, names []string) (out []string) {
	counts := map[string]int{}
	for _, r := range rules {
		counts[r.Kind]++
	}
	told := map[string]bool{}
	for _, r := range rules {
		n := counts[r.Kind]
		switch {
		case n <= maxLines:
			out = append(out, r.line(what, total, names))
		case !told[r.Kind]:
			told[r.Kind] = true
			out = append(out, fmt.Sprintf("%s: %d rules match no %s of %d, such as %q", r.Kind, n, what, total, r.Text))
		}
	}
	return out
}

func (r Rule) line(what string, total int, names []string) string {
	line := fmt.Sprintf("%s %q matches no %s of %d", r.Kind, r.Text, what, total)
	var near []string
	if r.Like != "" {
		near = name.Similar(r.Like, name.WithPrefixes(names))
	}
	if len(near) > 0 {
		line += "; similar: " + strings.Join(near, ", ")
	}
	return line
}
