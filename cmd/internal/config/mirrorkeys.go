package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/azure"
	"github.com/drayage/dray/cmd/internal/schedule"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Mirror is one mirror rule: what to copy, where to and when. Its JSON form has the keys of the file
// and is valid in the file. Its texts are checked, and kept as the user wrote them. The keys have the
// same names as the flags of dray transfer.
type Mirror struct {
	Name string `json:"name"`
	schedule.Spec
	Jitter Duration `json:"jitter,omitempty"` // the longest random delay of a start
	Paused bool     `json:"paused,omitempty"` // the rule does not run by its schedule, but can be run by name

	Sources []string `json:"sources,omitempty"` // registries, prefixes, repositories
	Images  []string `json:"images,omitempty"`  // images by tag or digest
	Targets []string `json:"targets"`
	Prefer  []string `json:"prefer,omitempty"`

	Letters         string   `json:"letters,omitempty"`
	Ignore          []string `json:"ignore-pattern,omitempty"`
	Include         []string `json:"include,omitempty"`
	Exclude         []string `json:"exclude,omitempty"`
	MaxRepositories int      `json:"max-repositories,omitempty"`
	IncludeTags     []string `json:"include-tags,omitempty"`
	ExcludeTags     []string `json:"exclude-tags,omitempty"`
	Semver          string   `json:"semver,omitempty"`
	NewerThan       string   `json:"newer-than,omitempty"`
	Latest          int      `json:"latest,omitempty"`
	LatestBy        string   `json:"latest-by,omitempty"`
	MinTags         int      `json:"min-tags,omitempty"`
	Untagged        bool     `json:"untagged,omitempty"`
	Strict          bool     `json:"strict,omitempty"`
	SkipBroken      bool     `json:"skip-broken,omitempty"`
	RequireMatch    bool     `json:"require-match,omitempty"`

	Strip    string              `json:"strip,omitempty"`
	Rewrite  []string            `json:"rewrite,omitempty"`
	Flatten  bool                `json:"flatten,omitempty"`
	Template string              `json:"template,omitempty"`
	Prefix   string              `json:"prefix,omitempty"`
	MaxDepth int                 `json:"max-depth,omitempty"`
	Map      map[string][]string `json:"map,omitempty"`
	Rename   []string            `json:"rename,omitempty"`

	Referrers plan.Referrers `json:"referrers,omitzero"` // "" as its mode means sync

	Platforms plan.Platforms `json:"platforms,omitzero"`

	IncludeForeign *bool `json:"include-foreign,omitempty"` // nil means what the configuration says

	Via       string  `json:"via,omitempty"`       // "" means what the configuration says
	Gate      string  `json:"gate,omitempty"`      // the name of a gate of the configuration
	Overwrite string  `json:"overwrite,omitempty"` // "" means update
	Backup    string  `json:"backup,omitempty"`
	Rehash    bool    `json:"rehash,omitempty"`
	CopyLocks bool    `json:"copy-locks,omitempty"`
	Delay     float64 `json:"delay-seconds,omitempty"`

	Line int `json:"-"` // the line in the file
}

// Duration is a time.Duration that is written in Go's form: "5m0s".
type Duration time.Duration

// MarshalText returns d in Go's form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// maxJitter is the longest jitter of a rule.
const maxJitter = 24 * time.Hour

// shared returns the keys that both a rule and the defaults have. A value in a rule replaces the
// default.
func (p parser) shared(m *Mirror) []field {
	when := func(set, other *string) func(*yaml.Node) error {
		return func(n *yaml.Node) error { *other = ""; return p.text(n, set) }
	}
	return slices.Concat([]field{
		{"target", one(&m.Targets, p.place)}, {"targets", many(p, &m.Targets, p.place)},
		{"schedule", p.checked(when(&m.Cron, &m.Every), func() error {
			_, err := schedule.Parse(schedule.Spec{Cron: m.Cron})
			return err
		})},
		{"every", p.checked(when(&m.Every, &m.Cron), func() error {
			_, err := schedule.Parse(schedule.Spec{Every: m.Every})
			return err
		})},
		p.word("time-zone", &m.TimeZone, func(s string) error { _, err := schedule.Zone(s); return err }),
		{"jitter", func(n *yaml.Node) error { return p.duration(n, &m.Jitter) }},
		{"paused", func(n *yaml.Node) error { return p.boolean(n, &m.Paused) }},
		{"prefer", several(p, &m.Prefer, p.place)},
	}, p.selecting(m), p.mapped(m), []field{
		{"referrers", func(n *yaml.Node) error { return p.referrers(n, &m.Referrers) }},
		{"platforms", func(n *yaml.Node) error { return p.platforms(n, &m.Platforms) }},
		{"include-foreign", func(n *yaml.Node) error {
			m.IncludeForeign = new(bool)
			return p.boolean(n, m.IncludeForeign)
		}},
		{"via", func(n *yaml.Node) error { return p.oneOf(n, azure.Vias(), "via", &m.Via) }},
		{"gate", func(n *yaml.Node) error { return p.text(n, &m.Gate) }},
		{"overwrite", func(n *yaml.Node) error { return p.overwrite(n, &m.Overwrite) }},
		p.word("backup", &m.Backup, func(s string) error {
			return plan.Backup{Template: s, Date: "20260101"}.Check()
		}),
		{"rehash", func(n *yaml.Node) error { return p.boolean(n, &m.Rehash) }},
		{"copy-locks", func(n *yaml.Node) error { return p.boolean(n, &m.CopyLocks) }},
		{"delay-seconds", func(n *yaml.Node) error {
			if err := p.rate(n, &m.Delay); err != nil {
				return err
			}
			if m.Delay > 24*60*60 {
				return p.outOfRange(n, "a number of seconds from 0 to 86400")
			}
			return nil
		}},
	})
}

// selecting returns the keys that select repositories and tags.
func (p parser) selecting(m *Mirror) []field {
	patterns := func(key string, to *[]string) field {
		return field{key, p.checked(several(p, to, p.text), func() error {
			_, err := plan.ParsePatterns(*to...)
			return err
		})}
	}
	number := func(key string, to *int) field {
		return field{key, func(n *yaml.Node) error { return p.count(n, to) }}
	}
	return []field{
		p.word("letters", &m.Letters, func(s string) error { _, err := plan.ParseLetters(s); return err }),
		{"ignore-pattern", p.checked(several(p, &m.Ignore, p.text), func() error {
			_, err := plan.ParseIgnore(m.Ignore...)
			return err
		})},
		patterns("include", &m.Include), patterns("exclude", &m.Exclude),
		number("max-repositories", &m.MaxRepositories),
		patterns("include-tags", &m.IncludeTags), patterns("exclude-tags", &m.ExcludeTags),
		p.word("semver", &m.Semver, func(s string) error { _, err := plan.ParseVersions(s); return err }),
		p.word("newer-than", &m.NewerThan, func(s string) error { _, err := plan.ParseAge(s); return err }),
		number("latest", &m.Latest),
		p.word("latest-by", &m.LatestBy, func(s string) error { _, err := plan.ParseOrder(s); return err }),
		number("min-tags", &m.MinTags),
		{"untagged", func(n *yaml.Node) error { return p.boolean(n, &m.Untagged) }},
		{"skip-broken", func(n *yaml.Node) error { return p.boolean(n, &m.SkipBroken) }},
		{"strict", func(n *yaml.Node) error { return p.boolean(n, &m.Strict) }},
		{"require-match", func(n *yaml.Node) error { return p.boolean(n, &m.RequireMatch) }},
	}
}

// mapped returns the keys that map source names to target names.
func (p parser) mapped(m *Mirror) []field {
	substitutions := func(to *[]string) func() error {
		return func() error {
			for _, s := range *to {
				if _, err := plan.ParseSubstitution(s); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return []field{
		{"strip", func(n *yaml.Node) error { return p.text(n, &m.Strip) }},
		{"rewrite", p.checked(several(p, &m.Rewrite, p.text), substitutions(&m.Rewrite))},
		{"flatten", func(n *yaml.Node) error { return p.boolean(n, &m.Flatten) }},
		p.word("template", &m.Template, func(s string) error { return plan.Mapping{Template: s}.Check() }),
		{"prefix", func(n *yaml.Node) error { return p.text(n, &m.Prefix) }},
		{"max-depth", func(n *yaml.Node) error { return p.count(n, &m.MaxDepth) }},
		{"map", func(n *yaml.Node) error { return p.tagMap(n, m) }},
		{"rename", p.checked(several(p, &m.Rename, p.text), substitutions(&m.Rename))},
	}
}

// tagMap reads a mapping of each tag to a new name or a list of new names.
func (p parser) tagMap(n *yaml.Node, m *Mirror) error {
	m.Map = map[string][]string{}
	if err := p.is(n, "!!map", "map"); err != nil {
		return err
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		var from string
		if err := p.realTag(key, &from); err != nil {
			return err
		}
		if m.Map[from] != nil {
			return p.bad(key, "tag "+strconv.Quote(from)+" appears twice", "write a list")
		}
		var to []string
		if err := several(p, &to, p.realTag)(value); err != nil {
			return err
		}
		m.Map[from] = to
	}
	return nil
}

// realTag reads a text that is a valid tag.
func (p parser) realTag(n *yaml.Node, out *string) error {
	if err := p.tag(n, out); err != nil {
		return err
	}
	if err := ref.Tag(*out); err != nil {
		return p.wrong(n, err)
	}
	return nil
}

// checked returns a reader that reads a value and then calls check. An error of check gets the line of the value.
func (p parser) checked(read func(*yaml.Node) error, check func() error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if err := read(n); err != nil {
			return err
		}
		if err := check(); err != nil {
			return p.wrong(n, err)
		}
		return nil
	}
}

// word returns a field whose value is a text that check accepts.
func (p parser) word(key string, to *string, check func(string) error) field {
	read := func(n *yaml.Node) error { return p.text(n, to) }
	return field{key, p.checked(read, func() error { return check(*to) })}
}

// one returns a reader of one value, which replaces the list out.
func one(out *[]string, read func(*yaml.Node, *string) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		*out = []string{""}
		return read(n, &(*out)[0])
	}
}

// many returns a reader of a list with at least one item, which replaces the list out.
func many(p parser, out *[]string, read func(*yaml.Node, *string) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		*out = nil
		if err := list(p, n, out, read); err != nil {
			return err
		}
		if len(*out) == 0 {
			return p.empty(n)
		}
		for i, s := range *out {
			if slices.Contains((*out)[:i], s) {
				return p.bad(n.Content[i], strconv.Quote(s)+" appears twice", "remove one of them")
			}
		}
		return nil
	}
}

// several returns a reader of one value or a list.
func several(p parser, out *[]string, read func(*yaml.Node, *string) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind == yaml.SequenceNode {
			return many(p, out, read)(n)
		}
		return one(out, read)(n)
	}
}

// duration reads a duration of at most maxJitter.
func (p parser) duration(n *yaml.Node, out *Duration) error {
	var s string
	if err := p.text(n, &s); err != nil {
		return err
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxJitter {
		return p.bad(n, "not a duration between 0 and a day: "+strconv.Quote(s), "write 30s, 5m or 1h")
	}
	*out = Duration(d)
	return nil
}

// place reads a registry, a prefix of its repositories ("reg.example/team/"), or a repository.
func (p parser) place(n *yaml.Node, out *string) error {
	if err := p.listed(n, out); err != nil {
		return err
	}
	*out = ref.CutTransport(*out)
	_, path, _ := strings.Cut(*out, "/")
	switch {
	case strings.Contains(*out, "@"):
		what := "not a registry, prefix or repository"
		return p.bad(n, what, "list images below images:, and put logins in the configuration")
	case strings.Contains(path, ":"):
		return p.bad(n, "this is the name of one image: "+strconv.Quote(*out), "list images below images:")
	}
	return nil
}

// image reads an image that has a tag or a digest.
func (p parser) image(n *yaml.Node, out *string) error {
	if err := p.listed(n, out); err != nil {
		return err
	}
	if name := (*out)[strings.LastIndex(*out, "/")+1:]; strings.HasSuffix(*out, "/") || !strings.ContainsAny(name, ":@") {
		return p.bad(n, "no tag and no digest: "+strconv.Quote(*out),
			"write IMAGE:TAG, or list whole repositories below sources:")
	}
	return nil
}

// referrers reads what travels with an image: a mode alone, or a mapping. It replaces all of out.
func (p parser) referrers(n *yaml.Node, out *plan.Referrers) error {
	*out = plan.Referrers{}
	if n.Kind != yaml.MappingNode {
		return p.referrerMode(n, &out.Mode)
	}
	err := p.mapping(n, "referrers", []field{
		{"mode", func(n *yaml.Node) error { return p.referrerMode(n, &out.Mode) }},
		{"types", several(p, &out.Types, p.text)},
		{"annotations", func(n *yaml.Node) error {
			out.Annotations = map[string]string{}
			return p.each(n, "annotations", func(key, value *yaml.Node) error {
				var text string
				err := p.text(value, &text)
				out.Annotations[key.Value] = text
				return named(key.Value, err)
			})
		}},
	})
	switch {
	case err != nil:
		return err
	case out.Mode == "" && !out.Selects():
		return p.bad(n, "referrers chooses nothing", "write a mode, types or annotations, or remove the key")
	}
	if err := out.Check(); err != nil {
		return p.wrong(n, err)
	}
	return nil
}

// referrerMode reads a mode. YAML takes true and false for something else than text.
func (p parser) referrerMode(n *yaml.Node, out *plan.ReferrerMode) error {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" && n.ShortTag() != "!!str" {
		return p.wants(n, "true, false, sync or require")
	}
	text := n.Value
	if n.ShortTag() == "!!bool" {
		text = strings.ToLower(text)
	}
	if text == "" {
		return p.empty(n)
	}
	if err := out.UnmarshalText([]byte(text)); err != nil {
		return p.wrong(n, err)
	}
	return nil
}

// platforms reads which platforms are copied: their names alone, or a mapping. It replaces all of out.
func (p parser) platforms(n *yaml.Node, out *plan.Platforms) (err error) {
	var words []string
	var sparse, optional bool
	if n.Kind != yaml.MappingNode {
		err = several(p, &words, p.text)(n)
	} else {
		err = p.mapping(n, "platforms", []field{
			{"only", several(p, &words, p.text)},
			{"sparse", func(n *yaml.Node) error { return p.boolean(n, &sparse) }},
			{"optional", func(n *yaml.Node) error { return p.boolean(n, &optional) }},
		})
	}
	switch {
	case err != nil:
		return err
	case len(words) == 0:
		return p.bad(n, "platforms names none", "write only: [linux/amd64], or remove the key")
	}
	if *out, err = plan.ParsePlatforms(words...); err != nil {
		return p.wrong(n, err)
	}
	if sparse {
		out.Form = plan.Sparse
	}
	if optional {
		out.Lacks = plan.Optional
	}
	if err := out.Check(); err != nil {
		return p.wrong(n, err)
	}
	return nil
}

// listed reads a name. A name with a space is probably a source and a target, so it is an error.
func (p parser) listed(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	if len(strings.Fields(*out)) != 1 || strings.TrimSpace(*out) != *out {
		return p.bad(n, "a name must not contain spaces: "+strconv.Quote(*out), "use the keys source: and target:")
	}
	return nil
}

// overwrite reads one of overwrites.
func (p parser) overwrite(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	if !slices.Contains(overwrites, *out) {
		return p.bad(n, "unknown overwrite "+strconv.Quote(*out)+nearest(*out, overwrites),
			"use one of "+strings.Join(overwrites, ", "))
	}
	return nil
}

// overwrites lists the values of the key overwrite.
var overwrites = []string{"refuse", "update", "always"}
