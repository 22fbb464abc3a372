package plan

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// TagMap says which target tags a source tag becomes. The zero TagMap keeps every tag.
type TagMap struct {
	Pairs  []Pair  // used first; a tag may occur in several pairs
	Rename Renames // applied to the tags that no pair names
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
	for _, p := range m.Pairs {
		if !slices.Contains(keys, p.From) {
			keys = append(keys, p.From)
		}
	}
	return keys
}

// Targets returns the target tags of tag, each once. Rename does not apply to a digest tag, which would belong to no
// image under another name. Targets does not check that a renamed tag is a valid tag.
func (m TagMap) Targets(tag string) []string {
	var to []string
	for _, p := range m.Pairs {
		if p.From == tag && !slices.Contains(to, p.To) {
			to = append(to, p.To)
		}
	}
	if to != nil {
		return to
	}
	if oci.IsDigestTag(tag) {
		return []string{tag}
	}
	return []string{m.Rename.Apply(tag)}
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

// Apply returns s after all substitutions.
func (r Renames) Apply(s string) string {
	for _, sub := range r {
		s = sub.Match.ReplaceAllString(s, sub.With)
	}
	return s
}

// ParsePair reads "FROM=TO". The error is [fault.Invalid].
func ParsePair(s string) (Pair, error) {
	from, to, ok := strings.Cut(s, "=")
	if !ok || from == "" || to == "" {
		return Pair{}, invalid("read tag map", fmt.Sprintf("%q", s), errors.New("not FROM=TO"), "")
	}
	return Pair{from, to}, nil
}

// ParseRenames reads each text with [ParseSubstitution]. The error is [fault.Invalid].
func ParseRenames(texts []string) (Renames, error) {
	var all Renames
	for _, s := range texts {
		sub, err := ParseSubstitution(s)
		if err != nil {
			return nil, err
		}
		all = append(all, sub)
	}
	return all, nil
}

// ParseSubstitution reads "s/EXPRESSION/REPLACEMENT/", such as "s/^v(.*)$/v$1-production/". Any other
// character can take the place of the slash. The expression has the syntax of RE2. Unlike in sed, "\1" is an
// error and "&" stands for itself. The error is [fault.Invalid].
func ParseSubstitution(s string) (Substitution, error) {
	bad := func(cause, hint string) (Substitution, error) {
		return Substitution{}, invalid("read substitution", fmt.Sprintf("%q", s), errors.New(cause), hint)
	}
	if len(s) < 4 || s[0] != 's' {
		return bad("not s/EXPRESSION/REPLACEMENT/", "write a substitution such as 's/^v(.*)$/v$1-production/'")
	}
	parts := strings.Split(s[2:], s[1:2])
	if len(parts) != 3 || parts[2] != "" || parts[0] == "" {
		return bad("not s/EXPRESSION/REPLACEMENT/",
			"if the expression contains the separator, use another separator: s|a/b|c|")
	}
	match, err := regexp.Compile(parts[0])
	if err != nil {
		return bad(err.Error(), "")
	}
	if sedGroup().MatchString(parts[1]) {
		return bad("the replacement must name a group as $1, not \\1", "")
	}
	return Substitution{match, braced(parts[1])}, nil
}

var (
	sedGroup = lazily(`\\[0-9]`)
	group    = lazily(`\$([0-9]+)`)
)

// braced replaces $1 by ${1}, so that "v$1_x" means the first group and "_x", and not a group with the
// name "1_x".
func braced(s string) string { return group().ReplaceAllString(s, "$${$1}") }

// Moving reports whether tag is one that people move from release to release, such as "latest", "stable"
// or "prod": it has no digit. Such tags are set after the others.
func Moving(tag string) bool { return tag != "" && !strings.ContainsAny(tag, "0123456789") }
