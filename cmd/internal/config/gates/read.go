package gates

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/plan"
)

// Field is one key of a mapping and the function that reads its value.
type Field struct {
	Key  string
	Read func(*yaml.Node) error
}

// Tools reads the values of YAML. Package config has them.
type Tools struct {
	Each    func(n *yaml.Node, what string, pair func(key, value *yaml.Node) error) error
	Mapping func(n *yaml.Node, what string, fields []Field) error
	Texts   func(n *yaml.Node, out *[]string) error // one text or a list
	Paths   func(n *yaml.Node, out *[]string) error // one path or a list, made absolute
	Text    func(n *yaml.Node, out *string) error
	Path    func(n *yaml.Node, out *string) error
	Size    func(n *yaml.Node, out *int64) error
	Bad     func(n *yaml.Node, cause, hint string) error // an error with the line of n
	Wrong   func(n *yaml.Node, err error) error          // err with the line of n
}

// Read reads the key gates: a mapping of names to gates. names decides which names are valid.
func Read(n *yaml.Node, names *regexp.Regexp, t Tools) ([]Gate, error) {
	var all []Gate
	err := t.Each(n, "gates", func(key, value *yaml.Node) error {
		if !names.MatchString(key.Value) {
			return t.Bad(key, "not a valid name of a gate: "+strconv.Quote(key.Value),
				"use lower-case letters, digits, '_' and '-'")
		}
		g := Gate{Name: key.Value}
		err := t.gate(value, &g)
		all = append(all, g)
		return err
	})
	return all, err
}

func (t Tools) gate(n *yaml.Node, g *Gate) error {
	err := t.Mapping(n, g.Name, []Field{
		{"signature", func(n *yaml.Node) error { return t.signature(n, &g.Signature) }},
		{"min-age", func(n *yaml.Node) error { return t.age(n, &g.MinAge) }},
		{"max-size", func(n *yaml.Node) error { return t.Size(n, &g.MaxSize) }},
		{"platforms", func(n *yaml.Node) error { return t.platforms(n, &g.Platforms) }},
		{"allow", func(n *yaml.Node) error { return t.patterns(n, &g.Allow) }},
		{"deny", func(n *yaml.Node) error { return t.patterns(n, &g.Deny) }},
		{"referrers", func(n *yaml.Node) error { return t.Texts(n, &g.Referrers) }},
	})
	if err != nil {
		return err
	}
	rules := len(g.Platforms) + len(g.Allow) + len(g.Deny) + len(g.Referrers)
	if !g.Signature.Required() && g.MinAge == 0 && g.MaxSize == 0 && rules == 0 {
		return t.Bad(n, strconv.Quote(g.Name)+" admits every image", "add a rule, or remove the gate")
	}
	return nil
}

func (t Tools) signature(n *yaml.Node, s *Signature) error {
	err := t.Mapping(n, "signature", []Field{
		{"key", func(n *yaml.Node) error { return t.Paths(n, &s.Keys) }},
		{"keyless", func(n *yaml.Node) error { s.Keyless = &Keyless{}; return t.keyless(n, s.Keyless) }},
		{"notation", func(n *yaml.Node) error { s.Notation = &Notation{}; return t.notation(n, s.Notation) }},
	})
	if err != nil {
		return err
	}
	kinds := 0
	for _, set := range []bool{len(s.Keys) > 0, s.Keyless != nil, s.Notation != nil} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		return t.Bad(n, "a signature is one of key, keyless and notation", "keep one of them")
	}
	return nil
}

func (t Tools) keyless(n *yaml.Node, k *Keyless) error {
	err := t.Mapping(n, "keyless", []Field{
		{"identity", func(n *yaml.Node) error { return t.Text(n, &k.Identity) }},
		{"identity-regexp", func(n *yaml.Node) error { return t.expression(n, &k.IdentityRegexp) }},
		{"issuer", func(n *yaml.Node) error { return t.Text(n, &k.Issuer) }},
		{"issuer-regexp", func(n *yaml.Node) error { return t.expression(n, &k.IssuerRegexp) }},
		{"roots", func(n *yaml.Node) error { return t.Path(n, &k.Roots) }},
	})
	switch {
	case err != nil:
		return err
	case k.Identity != "" && k.IdentityRegexp != "":
		return t.Bad(n, "keyless has both identity and identity-regexp", "keep one of them")
	case k.Issuer != "" && k.IssuerRegexp != "":
		return t.Bad(n, "keyless has both issuer and issuer-regexp", "keep one of them")
	case (k.Identity == "") == (k.IdentityRegexp == ""):
		return t.Bad(n, "keyless requires either identity or identity-regexp", "say who signs")
	case (k.Issuer == "") == (k.IssuerRegexp == ""):
		return t.Bad(n, "keyless requires either issuer or issuer-regexp", "say who vouches for the identity")
	case k.Roots == "":
		return t.Bad(n, "keyless has no roots", "name a file trusted_root.json: roots: FILE")
	}
	return nil
}

func (t Tools) notation(n *yaml.Node, k *Notation) error {
	err := t.Mapping(n, "notation", []Field{
		{"store", func(n *yaml.Node) error { return t.Path(n, &k.Store) }},
		{"policy", func(n *yaml.Node) error { return t.Path(n, &k.Policy) }},
	})
	switch {
	case err != nil:
		return err
	case k.Store == "":
		return t.Bad(n, "notation has no store", "name the directory that holds truststore/: store: DIR")
	case k.Policy == "":
		return t.Bad(n, "notation has no policy", "name a file trustpolicy.json: policy: FILE")
	}
	return nil
}

// expression reads a regular expression that matches whole texts: one that matches a part of a name would
// admit names that contain it.
func (t Tools) expression(n *yaml.Node, out *string) error {
	if err := t.Text(n, out); err != nil {
		return err
	}
	if _, err := regexp.Compile(*out); err != nil {
		return t.Bad(n, "not a regular expression: "+strconv.Quote(*out), "write it in the syntax of RE2")
	}
	*out = `^(?:` + *out + `)$`
	return nil
}

func (t Tools) age(n *yaml.Node, out *time.Duration) error {
	var s string
	if err := t.Text(n, &s); err != nil {
		return err
	}
	age, err := plan.ParseAge(s)
	if err != nil {
		return t.Bad(n, "not an age: "+strconv.Quote(s), "write 7d, 2w or 36h")
	}
	*out = age
	return nil
}

func (t Tools) platforms(n *yaml.Node, out *[]string) error {
	if err := t.Texts(n, out); err != nil {
		return err
	}
	for _, p := range *out {
		os, arch, ok := strings.Cut(p, "/")
		if !ok || os == "" || arch == "" || strings.ToLower(p) != p {
			return t.Bad(n, "not a platform: "+strconv.Quote(p), "write OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64")
		}
	}
	return nil
}

func (t Tools) patterns(n *yaml.Node, out *plan.Patterns) error {
	var texts []string
	if err := t.Texts(n, &texts); err != nil {
		return err
	}
	var err error
	if *out, err = plan.ParsePatterns(texts...); err != nil {
		return t.Wrong(n, err)
	}
	return nil
}
