package config

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/text"
	"github.com/drayage/dray/cmd/internal/schedule"
	"github.com/drayage/dray/fault"
)

//go:embed mirrors.schema.json
var mirrorsSchema string

// MirrorsSchema returns the JSON Schema (draft 2020-12) of a file of mirror rules.
func MirrorsSchema() []byte { return []byte(mirrorsSchema) }

// maxMirrors is the largest file of mirror rules, in bytes.
const maxMirrors = 8 << 20

// Mirrors is a file of mirror rules.
type Mirrors struct {
	Path  string
	Rules []Mirror // in the order of the file
}

// ByName returns the rule with this name; false means that there is none.
func (m Mirrors) ByName(name string) (Mirror, bool) {
	if i := slices.IndexFunc(m.Rules, func(r Mirror) bool { return r.Name == name }); i >= 0 {
		return m.Rules[i], true
	}
	return Mirror{}, false
}

// ReadMirrors reads the file of mirror rules at path. Errors are Invalid and name the file and the line
// of the first mistake.
func ReadMirrors(path string) (Mirrors, error) {
	data, err := text.ReadFile("read mirror rules", path, maxMirrors)
	if err != nil {
		return Mirrors{}, err
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return Mirrors{}, &fault.Fault{Kind: fault.Invalid, Op: "read mirror rules", Name: path, Err: err}
	}
	p := parser{path: path, dir: filepath.Dir(whole)}
	root, err := p.root(data)
	if err != nil {
		return Mirrors{}, err
	}
	if root == nil {
		return Mirrors{}, p.bad(&yaml.Node{}, "the file has no rules", "add rules:")
	}
	m := Mirrors{Path: path}
	var defaults Mirror
	var rules *yaml.Node
	err = p.mapping(root, "the file", []field{
		{"defaults", func(n *yaml.Node) error { return p.mapping(n, "defaults", p.shared(&defaults)) }},
		{"rules", func(n *yaml.Node) error { rules = n; return p.is(n, "!!seq", "rules") }},
	})
	if err != nil {
		return Mirrors{}, err
	}
	if rules == nil || len(rules.Content) == 0 {
		return Mirrors{}, p.bad(root, "the file has no rules", "add rules:")
	}
	lines := map[string]int{}
	err = list(p, rules, &m.Rules, func(n *yaml.Node, out *Mirror) error {
		if err := p.mirror(n, out, defaults); err != nil {
			return err
		}
		if first, twice := lines[out.Name]; twice {
			return p.bad(n, fmt.Sprintf("rule %s appears twice (first in line %d)", strconv.Quote(out.Name), first),
				"rename one of them")
		}
		lines[out.Name] = n.Line
		return nil
	})
	if err != nil {
		return Mirrors{}, err
	}
	return m, nil
}

// ruleForm matches the name of a rule. The name must also be safe in file names and URLs.
var ruleForm = lazily(`^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$`)

// mirror reads one rule. Keys that it does not have keep the values of defaults.
func (p parser) mirror(n *yaml.Node, out *Mirror, defaults Mirror) error {
	*out = defaults
	out.Line = n.Line
	seen := map[string]*yaml.Node{}
	fields := append([]field{
		{"name", func(n *yaml.Node) error {
			if err := p.text(n, &out.Name); err != nil {
				return err
			}
			if !ruleForm().MatchString(out.Name) {
				return p.bad(n, "not a valid name of a rule: "+strconv.Quote(out.Name),
					"use at most 64 lower-case letters, digits, '.', '_' and '-'")
			}
			return nil
		}},
		{"source", one(&out.Sources, p.place)}, {"sources", many(p, &out.Sources, p.place)},
		{"image", one(&out.Images, p.image)}, {"images", many(p, &out.Images, p.image)},
	}, p.shared(out)...)
	for i, f := range fields {
		fields[i].read = func(n *yaml.Node) error { seen[f.key] = n; return f.read(n) }
	}
	if err := p.mapping(n, "a rule", fields); err != nil {
		return err
	}
	for _, pair := range [][2]string{
		{"source", "sources"}, {"image", "images"}, {"target", "targets"}, {"schedule", "every"},
	} {
		if seen[pair[0]] != nil && seen[pair[1]] != nil {
			return p.bad(seen[pair[1]], pair[0]+" and "+pair[1]+" cannot be combined", "keep one of them")
		}
	}
	if err := p.wholeMirror(n, *out, seen); err != nil {
		return err
	}
	if len(out.Sources) == 0 { // the defaults for repositories do not apply to a rule that lists only images
		out.Prefer, out.Letters, out.Ignore, out.Include, out.Exclude, out.MaxRepositories = nil, "", nil, nil, nil, 0
		out.IncludeTags, out.ExcludeTags, out.Semver, out.NewerThan = nil, nil, "", ""
		out.Latest, out.LatestBy, out.MinTags, out.Delay = 0, "", 0, 0
		out.Untagged, out.Strict, out.RequireMatch, out.CopyLocks = false, false, false, false
	}
	return nil
}

// wholeMirror returns an error if a required key is missing or keys contradict each other.
func (p parser) wholeMirror(n *yaml.Node, m Mirror, seen map[string]*yaml.Node) error {
	switch {
	case m.Name == "":
		return p.bad(n, "the rule has no name", "add name:")
	case len(m.Sources)+len(m.Images) == 0:
		return p.bad(n, strconv.Quote(m.Name)+" has no source", "add sources: or images:")
	case len(m.Targets) == 0:
		return p.bad(n, strconv.Quote(m.Name)+" has no target", "add target: or targets:")
	case m.Backup != "" && m.Overwrite == "refuse":
		return p.bad(n, "backup has no effect with overwrite: refuse", "remove one of them")
	case seen["latest-by"] != nil && m.Latest == 0:
		return p.bad(seen["latest-by"], "latest-by without latest has no effect", "add latest, or remove it")
	case m.Rehash && m.Overwrite != "always":
		return p.bad(n, "rehash requires overwrite: always", "set overwrite: always, or remove rehash")
	}
	if _, err := schedule.Parse(m.Spec); err != nil {
		return p.wrong(n, err)
	}
	if len(m.Sources) > 0 {
		return nil
	}
	for _, key := range forSources {
		if at := seen[key]; at != nil {
			return p.bad(at, key+" has no effect on images", "remove it, or list the repository below sources:")
		}
	}
	return nil
}

// forSources lists the keys that have an effect only on repositories and their tags.
var forSources = []string{
	"prefer", "letters", "ignore-pattern", "include", "exclude", "max-repositories", "include-tags",
	"exclude-tags", "semver", "newer-than", "latest", "latest-by", "min-tags", "untagged", "strict", "require-match",
	"copy-locks", "delay-seconds",
}

// Error returns the text.
func (e plainError) Error() string { return string(e) }
