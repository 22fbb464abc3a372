package plan

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/drayage/dray/internal/expression"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// TagMap says which target tags a source tag becomes. The zero TagMap keeps every tag.
type TagMap struct {
	Pairs  []Pair  // used first; a tag may occur in several pairs
	Rename Renames // applied to the tags that no pair names

	targets map[string][]string // of Pairs, if the map is indexed
}

// Pair says that the tag From becomes the tag To.
type Pair struct{ From, To string }

// Renames is a list of substitutions. They apply one after another.
type Renames []Substitution

// Substitution replaces every match of a regular expression (RE2). In With, $1 stands for the first group.
type Substitution struct {
	Match *regexp.Regexp
	With  string
}

// Keys returns the From of the pairs, each once, in their order.
func (m TagMap) Keys() []string {
	var keys []string
	known := map[string]bool{}
	for _, p := range m.Pairs {
		if !known[p.From] {
			known[p.From] = true
			keys = append(keys, p.From)
		}
	}
	return keys
}

// Indexed returns m in a form in which [TagMap.Targets] does not read all pairs for each tag. It does not notice pairs
// that are added later.
func (m TagMap) Indexed() TagMap {
	m.targets = map[string][]string{}
	for _, p := range m.Pairs {
		m.targets[p.From] = append(m.targets[p.From], p.To)
	}
	return m
}

// Targets returns the target tags of tag, each once. Rename does not apply to a digest tag, which would belong to no
// image under another name. Targets does not check that a renamed tag is a valid tag. The error is that of
// [Renames.Apply] with [ref.MaxTag].
func (m TagMap) Targets(tag string) ([]string, error) {
	to := m.targets[tag]
	if m.targets == nil {
		for _, p := range m.Pairs {
			if p.From == tag {
				to = append(to, p.To)
			}
		}
	}
	if to != nil {
		return once(to), nil
	}
	if oci.IsDigestTag(tag) {
		return []string{tag}, nil
	}
	renamed, err := m.Rename.Apply(tag, ref.MaxTag)
	return []string{renamed}, err
}

// Check checks that both sides of each pair are tags. Renamed tags can only be checked when they are made.
// The error is [fault.Invalid].
func (m TagMap) Check() error {
	for _, p := range m.Pairs {
		for _, tag := range []string{p.From, p.To} {
			if err := ref.Tag(tag); err != nil {
				return invalid("read tag map", p.From+"="+p.To, err, "")
			}
		}
	}
	return nil
}

// Apply returns s after all substitutions. most is the number of bytes that the result of each of them may have; one
// that makes s no longer is always allowed. The error is [fault.Invalid]: a result is longer. It is found before the
// result is made.
func (r Renames) Apply(s string, most int) (string, error) {
	from := s
	for _, sub := range r {
		to, ok := expression.Replace(sub.Match, s, sub.With, most)
		if !ok {
			return "", invalid("rename", shown(from), fmt.Errorf("the substitution of %s by %s makes it longer than %d bytes",
				shown(sub.Match.String()), shown(sub.With), most), "correct the substitution, or leave this name out")
		}
		s = to
	}
	return s, nil
}

// ParsePair reads "FROM=TO". The error is [fault.Invalid].
func ParsePair(s string) (Pair, error) {
	from, to, ok := strings.Cut(s, "=")
	if !ok || from == "" || to == "" {
		return Pair{}, invalid("read tag map", fmt.Sprintf("%q", s), errors.New("not FROM=TO"), "")
	}
	return Pair{from, to}, nil
}

// Limits of a list of substitutions. The size is counted as in [MaxPatternsSize].
const (
	MaxRenames     = 100
	MaxRenamesSize = 20_000
)

// ParseRenames reads each text with [ParseSubstitution]. The error is [fault.Invalid].
func ParseRenames(texts []string) (Renames, error) {
	var all Renames
	size := 0
	for _, s := range texts {
		sub, err := ParseSubstitution(s)
		if err != nil {
			return nil, err
		}
		if size += expression.Size(sub.Match); len(all) == MaxRenames || size > MaxRenamesSize {
			return nil, invalid("read substitutions", "", fmt.Errorf("more than %d, or larger than %d together",
				MaxRenames, MaxRenamesSize), "use fewer or shorter expressions")
		}
		all = append(all, sub)
	}
	return all, nil
}

// ParseSubstitution reads "s/EXPRESSION/REPLACEMENT/", such as "s/^v(.*)$/v$1-production/". Any other
// character can take the place of the slash. The expression has the syntax of RE2. Unlike in sed, "\1" is an
// error and "&" stands for itself. The text has at most [MaxPattern] bytes. The error is [fault.Invalid].
func ParseSubstitution(s string) (Substitution, error) {
	match, with, err := expression.ParseSubstitution(s)
	hint := ""
	if errors.Is(err, expression.ErrForm) {
		hint = "write 's/^v(.*)$/v$1-production/'; if the expression contains the separator, use another one: s|a/b|c|"
	}
	if err != nil {
		return Substitution{}, invalid("read substitution", shown(s), err, hint)
	}
	return Substitution{match, with}, nil
}

// Moving reports whether tag is one that people move from release to release, such as "latest", "stable"
// or "prod": it has no digit. Such tags are set after the others.
func Moving(tag string) bool { return tag != "" && !strings.ContainsAny(tag, "0123456789") }
