package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// TagMap says which tags a source tag becomes. The zero TagMap leaves every tag as it is.
type TagMap struct {
	Pairs  []Pair  // tried first; a tag may have several
	Rename Renames // applied, one after another, to tags that no pair names
}

// Pair is one line of a map: From becomes To.
type Pair struct{ From, To string }

// Renames are substitutions in their order.
type Renames []Substitution

// Substitution replaces what a regular expression (RE2) matches. In With, $1 is the first group.
type Substitution struct {
	Match *regexp.Regexp
	With  string
}

// Keys lists the tags that pairs name, each once, in their order.
func (m TagMap) Keys() []string {
	var keys []string
	for _, p := range m.Pairs {
		if !slices.Contains(keys, p.From) {
			keys = append(keys, p.From)
		}
	}
	return keys
}

// Targets returns what tag becomes.
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
	return []string{m.Rename.Apply(tag)}
}

// Check refuses pairs that are not tags. What a rename makes of a tag is checked when it is made.
func (m TagMap) Check() error {
	for _, p := range m.Pairs {
		for _, tag := range []string{p.From, p.To} {
			if err := ref.Tag(tag); err != nil {
				return &fault.Fault{Kind: fault.Invalid, Op: "read tag map", Name: p.From + "=" + p.To, Err: err}
			}
		}
	}
	return nil
}

// Apply makes all substitutions.
func (r Renames) Apply(s string) string {
	for _, sub := range r {
		s = sub.Match.ReplaceAllString(s, sub.With)
	}
	return s
}

// ParsePair reads "FROM=TO". The error is Invalid.
func ParsePair(s string) (Pair, error) {
	from, to, ok := strings.Cut(s, "=")
	if !ok || from == "" || to == "" {
		return Pair{}, &fault.Fault{Kind: fault.Invalid, Op: "read tag map", Name: fmt.Sprintf("%q", s), Err: fmt.Errorf("not FROM=TO")}
	}
	return Pair{from, to}, nil
}

// ParseRenames reads substitutions in their order. The error is Invalid.
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

// ParseSubstitution reads "s/EXPRESSION/REPLACEMENT/" with any character for the
// slash. The expression is RE2's; "\1" and "&" of sed are not understood, and said
// so. The error is Invalid.
func ParseSubstitution(s string) (Substitution, error) {
	bad := func(cause, hint string) (Substitution, error) {
		return Substitution{}, &fault.Fault{Kind: fault.Invalid, Op: "read substitution", Name: fmt.Sprintf("%q", s), Err: fmt.Errorf("%s", cause), Hint: hint}
	}
	if len(s) < 4 || s[0] != 's' {
		return bad("not s/EXPRESSION/REPLACEMENT/", "as in 's/^v(.*)$/v$1-production/'")
	}
	parts := strings.Split(s[2:], s[1:2])
	if len(parts) != 3 || parts[2] != "" || parts[0] == "" {
		return bad("not s/EXPRESSION/REPLACEMENT/", "where an expression holds the separator, take another: s|a/b|c|")
	}
	match, err := regexp.Compile(parts[0])
	if err != nil {
		return bad(err.Error(), "")
	}
	if sedGroup().MatchString(parts[1]) {
		return bad("a group is written $1 here, not \\1", "")
	}
	return Substitution{match, braced(parts[1])}, nil
}

var (
	sedGroup = lazily(`\\[0-9]`)
	group    = lazily(`\$([0-9]+)`)
)

// braced writes $1 as ${1}: "v$1_x" means the first group and "_x", not a group of the name "1_x".
func braced(s string) string { return group().ReplaceAllString(s, "$${$1}") }

// Moving reports whether a tag is one that people move from release to release:
// "latest", "stable", "prod". It is set after those that stay. A tag with a digit stays.
func Moving(tag string) bool { return tag != "" && !strings.ContainsAny(tag, "0123456789") }
