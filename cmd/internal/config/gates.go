package config

import (
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/gates"
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
