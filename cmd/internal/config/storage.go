package config

import (
	"cmp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/storing"
)

// storage reads the key storage.
func (p parser) storage(n *yaml.Node, s *storing.Storage) error {
	parts := map[string]*yaml.Node{}
	later := func(key string) field {
		return field{key, func(n *yaml.Node) error { parts[key] = n; return nil }}
	}
	err := p.mapping(n, "storage", []field{
		{"driver", func(n *yaml.Node) error { return p.oneOf(n, storing.Drivers(), "driver", &s.Driver) }},
		{"redirect", func(n *yaml.Node) error { parts["redirect"] = n; return p.boolean(n, &s.Redirect) }},
		{"free", func(n *yaml.Node) error { parts["free"] = n; s.Free = new(int64); return p.size(n, s.Free) }},
		later("parameters"), later("parameters-env"), later("parameters-file"),
	})
	if parts["free"] != nil && len(parts) == 1 { // the driver may be left out
		s.Driver = cmp.Or(s.Driver, "filesystem")
	}
	switch {
	case err != nil:
		return err
	case parts["free"] != nil && s.Driver != "filesystem":
		return p.bad(parts["free"], "free requires the driver filesystem", "remove it: an object store does not become full")
	case s.Driver == "":
		return p.bad(n, "storage requires a driver", "use one of "+strings.Join(storing.Drivers(), ", "))
	case s.Driver == "filesystem" && parts["redirect"] != nil:
		return p.bad(parts["redirect"], "redirect requires an object store", "remove it: a directory has no address")
	}
	variable := func(_ storing.Parameter, n *yaml.Node, out *string) error { return p.variable(n, out) }
	path := func(_ storing.Parameter, n *yaml.Node, out *string) error { return p.filePath(n, out) }
	s.Parameters, err = p.parameters(parts["parameters"], *s, p.parameter)
	if err == nil {
		s.ParametersEnv, err = p.parameters(parts["parameters-env"], *s, variable)
	}
	if err == nil {
		s.ParametersFile, err = p.parameters(parts["parameters-file"], *s, path)
	}
	if what, hint := s.Lacks(); err == nil && what != "" {
		err = p.bad(n, what, hint)
	}
	return err
}

// parameters reads parameters of a driver, each with read. Those of s are set already. A nil n has none.
func (p parser) parameters(
	n *yaml.Node, s storing.Storage, read func(q storing.Parameter, n *yaml.Node, out *string) error,
) (map[string]string, error) {
	if n == nil {
		return nil, nil
	}
	if s.Driver == "filesystem" {
		return nil, p.bad(n, "the driver filesystem has no parameters", "remove them: content is in the data directory")
	}
	out := map[string]string{}
	var fields func(group string) []field
	fields = func(group string) (all []field) {
		for _, name := range storing.Names(s.Driver) {
			rest, ok := strings.CutPrefix(name, group)
			sub, _, nested := strings.Cut(rest, ".")
			switch {
			case !ok || nested && len(all) > 0 && all[len(all)-1].key == sub:
			case nested:
				all = append(all, field{sub, func(n *yaml.Node) error { return p.mapping(n, sub, fields(group+sub+".")) }})
			default:
				all = append(all, field{rest, func(n *yaml.Node) error {
					if s.Has(name) {
						return p.bad(n, "the parameter "+name+" is set twice", "keep one of them")
					}
					var v string
					err := read(storing.Of(s.Driver, name), n, &v)
					out[name] = v
					return err
				}})
			}
		}
		return all
	}
	return out, p.mapping(n, "parameters", fields(""))
}

// parameter reads the value of a parameter.
func (p parser) parameter(q storing.Parameter, n *yaml.Node, out *string) error {
	switch {
	case q.Secret:
		return p.bad(n, "a secret does not belong in this file",
			"put it in an environment variable or a file, and name that below parameters-env or parameters-file")
	case q.Path:
		return p.filePath(n, out)
	case len(q.Words) > 0:
		return p.oneOf(n, q.Words, "value", out)
	case q.Tag == "!!str":
		return p.text(n, out)
	}
	if err := p.is(n, q.Tag, ""); err != nil {
		return err
	}
	*out = n.Value
	if _, err := q.Typed(n.Value); err != nil {
		return p.bad(n, err.Error(), "")
	}
	return nil
}
