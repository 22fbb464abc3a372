package config

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/plan"
)

// gates reads the key gates. names matches the names of gates.
func (p parser) gates(n *yaml.Node, names *regexp.Regexp) ([]gates.Gate, error) {
	return gates.Read(n, names, gates.Tools{
		Each: p.each,
		Mapping: func(n *yaml.Node, what string, fields []gates.Field) error {
			all := make([]field, len(fields))
			for i, f := range fields {
				all[i] = field{f.Key, f.Read}
			}
			return p.mapping(n, what, all)
		},
		Texts: func(n *yaml.Node, out *[]string) error { return several(p, out, p.text)(n) },
		Paths: func(n *yaml.Node, out *[]string) error { return several(p, out, p.filePath)(n) },
		Text:  p.text, Path: p.filePath, Size: p.size, Bad: p.bad, Wrong: p.wrong,
	})
}

// gateSettings calls add for each setting of a gate.
func gateSettings(g gates.Gate, add func(key string, value any)) {
	add("signature.key", strings.Join(g.Signature.Keys, ", "))
	if k := g.Signature.Keyless; k != nil {
		add("signature.keyless.identity", k.Identity)
		add("signature.keyless.identity-regexp", k.IdentityRegexp)
		add("signature.keyless.issuer", k.Issuer)
		add("signature.keyless.issuer-regexp", k.IssuerRegexp)
		add("signature.keyless.roots", k.Roots)
	}
	if n := g.Signature.Notation; n != nil {
		add("signature.notation.store", n.Store)
		add("signature.notation.policy", n.Policy)
	}
	add("min-age", g.MinAge)
	add("max-size", g.MaxSize)
	add("platforms", strings.Join(g.Platforms, ", "))
	add("allow", patterns(g.Allow))
	add("deny", patterns(g.Deny))
	add("referrers", strings.Join(g.Referrers, ", "))
}

func patterns(list plan.Patterns) string {
	var all []string
	for _, p := range list {
		all = append(all, p.String())
	}
	return strings.Join(all, ", ")
}
