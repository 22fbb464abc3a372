package config

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/azure"
	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/ref"
)

// file reads the whole configuration. The policy comes last, because it may name any registry.
func (p parser) file(data []byte) (Config, error) {
	root, err := p.root(data)
	if err != nil || root == nil {
		return Config{}, err
	}
	var c Config
	var def, policy, guard *yaml.Node
	err = p.mapping(root, "the file", []field{
		{"default-registry", func(n *yaml.Node) error { def = n; return p.text(n, &c.Default) }},
		{"registries", func(n *yaml.Node) (err error) { c.Registries, err = p.registries(n); return err }},
		{"referrers", func(n *yaml.Node) error { return p.referrers(n, &c.Referrers) }},
		{"platforms", func(n *yaml.Node) error { return p.platforms(n, &c.Platforms) }},
		{"include-foreign", func(n *yaml.Node) error { return p.boolean(n, &c.IncludeForeign) }},
		{"gates", func(n *yaml.Node) (err error) { c.Gates, err = p.gates(n, nameForm()); return err }},
		{"gate", func(n *yaml.Node) error { guard = n; return p.text(n, &c.Gate) }},
		{"client", func(n *yaml.Node) error { return p.client(n, &c.Client) }},
		{"server", func(n *yaml.Node) (err error) { policy, err = p.server(n, &c.Server); return err }},
	})
	if err == nil && policy != nil {
		err = p.policy(policy, &c)
	}
	if err == nil {
		err = p.defaultGate(guard, c)
	}
	if err != nil {
		return Config{}, err
	}
	if _, ok := c.ByName(c.Default); def != nil && !ok {
		names := []string{ownRegistry}
		for _, r := range c.Registries {
			names = append(names, r.Name)
		}
		return Config{}, p.bad(def, "no registry has the name "+strconv.Quote(c.Default)+nearest(c.Default, names),
			"use the name of a registry below registries:")
	}
	return c, nil
}

// defaultGate checks that the key gate, at n, names a gate.
func (p parser) defaultGate(n *yaml.Node, c Config) error {
	if n == nil {
		return nil
	}
	if _, ok := c.GateByName(c.Gate); ok {
		return nil
	}
	var names []string
	for _, g := range c.Gates {
		names = append(names, g.Name)
	}
	return p.bad(n, "no gate has the name "+strconv.Quote(c.Gate)+nearest(c.Gate, names),
		"use the name of a gate below gates:")
}

// nameForm is one component of a repository path, without a dot.
var nameForm = lazily(`^[a-z0-9]+(?:(?:_|__|-+)[a-z0-9]+)*$`)

// registries reads the key registries.
func (p parser) registries(n *yaml.Node) ([]Registry, error) {
	var all []Registry
	lines := map[string]int{}
	keys := map[string]*yaml.Node{}
	err := p.each(n, "registries", func(key, value *yaml.Node) error {
		r, err := p.registry(key, value)
		if err != nil {
			return err
		}
		for _, o := range all {
			if o.Host == r.Host {
				return p.bad(key,
					fmt.Sprintf("%s already has the name %s (line %d)", r.Host, strconv.Quote(o.Name), lines[o.Name]),
					"give each host only one name, and others as aliases")
			}
		}
		lines[r.Name], keys[r.Name] = key.Line, key
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, p.distinct(all, keys)
}

// distinct refuses an alias that means two registries. keys has the nodes of the names of the registries.
func (p parser) distinct(all []Registry, keys map[string]*yaml.Node) error {
	meant := map[string]string{}
	for _, r := range all {
		meant[r.Name], meant[r.Host] = r.Name, r.Name
	}
	for _, r := range all {
		for _, alias := range r.Aliases {
			if other, taken := meant[alias]; taken {
				return p.bad(keys[r.Name], fmt.Sprintf("%s has the alias %s, which means %s already",
					strconv.Quote(r.Name), strconv.Quote(alias), strconv.Quote(other)), "remove one of them")
			}
			meant[alias] = r.Name
		}
	}
	return nil
}

// registry reads one registry. key is its name.
func (p parser) registry(key, n *yaml.Node) (Registry, error) {
	r := Registry{Name: key.Value}
	if !nameForm().MatchString(r.Name) || ref.LooksLikeHost(r.Name) {
		return r, p.bad(key, "not a valid name of a registry: "+strconv.Quote(r.Name),
			"use lower-case letters, digits, '_' and '-'; the name must not look like a host")
	}
	if err := p.written(n); err != nil {
		return r, named(r.Name, err)
	}
	seen := map[string]*yaml.Node{}
	err := p.mapping(n, r.Name, []field{
		{"host", func(n *yaml.Node) error { seen["host"] = n; return p.host(n, &r.Host) }},
		{"aliases", func(n *yaml.Node) error { return list(p, n, &r.Aliases, p.alias) }},
		{"kind", func(n *yaml.Node) error { return p.oneOf(n, kinds, "kind", (*string)(&r.Kind)) }},
		{"plain-http", func(n *yaml.Node) error { seen["plain-http"] = n; return p.boolean(n, &r.PlainHTTP) }},
		{"insecure", func(n *yaml.Node) error { seen["insecure"] = n; return p.boolean(n, &r.Insecure) }},
		{"ca-file", func(n *yaml.Node) error { seen["ca-file"] = n; return p.filePath(n, &r.CAFile) }},
		{"client-cert", func(n *yaml.Node) error { seen["client-cert"] = n; return p.filePath(n, &r.ClientCert) }},
		{"client-key", func(n *yaml.Node) error { seen["client-key"] = n; return p.filePath(n, &r.ClientKey) }},
		{"token-hosts", func(n *yaml.Node) error { return list(p, n, &r.TokenHosts, p.host) }},
		{"mirrors", func(n *yaml.Node) error { return list(p, n, &r.Mirrors, p.host) }},
		{"create", func(n *yaml.Node) error {
			seen["create"] = n
			return p.oneOf(n, creates, "create", (*string)(&r.Create))
		}},
		{"limits", func(n *yaml.Node) error { return p.limits(n, &r.Limits) }},
		{"credentials", func(n *yaml.Node) error { return p.credentials(n, &r.Credentials) }},
		{"azure", func(n *yaml.Node) error { return p.azure(n, &r.Azure) }},
	})
	switch {
	case err != nil:
		return r, err
	case r.Host == "":
		return r, p.bad(key, strconv.Quote(r.Name)+" has no host", "add host: HOST or HOST:PORT")
	case !ref.LooksLikeHost(r.Host):
		return r, p.bad(seen["host"], strconv.Quote(r.Host)+" has no dot and no port, so names cannot begin with it",
			"add the port, such as "+r.Host+":443")
	case r.Create != "" && r.Kind != Harbor && r.Kind != ECR:
		return r, p.bad(seen["create"], "create works only with kind: harbor and kind: ecr",
			"remove create; other registries create repositories by themselves or not at all")
	case r.Create == CreatePublic && r.Kind == ECR:
		return r, p.bad(seen["create"], "dray cannot create a public ECR repository", "write create: private")
	case r.ClientCert != "" && r.ClientKey == "":
		return r, p.bad(seen["client-cert"], "client-cert without client-key", "set both")
	case r.ClientKey != "" && r.ClientCert == "":
		return r, p.bad(seen["client-key"], "client-key without client-cert", "set both")
	}
	manager := r.CAFile != "" && r.Azure.ResourceManager != "" // ca-file counts for it
	for _, k := range []string{"insecure", "ca-file", "client-cert"} {
		if n := seen[k]; r.PlainHTTP && n != nil && !strings.EqualFold(n.Value, "false") && (k != "ca-file" || !manager) {
			return r, p.bad(n, k+" has no effect with plain-http", "remove one of them")
		}
	}
	if r.Insecure && r.CAFile != "" && !manager {
		return r, p.bad(seen["insecure"], "ca-file has no effect with insecure", "remove one of them")
	}
	return r, nil
}

// alias reads another name of a registry, or another host that means it.
func (p parser) alias(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	switch {
	case ref.LooksLikeHost(*out):
		return p.host(n, out)
	case !nameForm().MatchString(*out):
		return p.bad(n, "not a name of a registry and not a host: "+strconv.Quote(*out),
			"use lower-case letters, digits, '_' and '-' for a name, or write HOST or HOST:PORT")
	}
	return nil
}

// limits reads the key limits of a registry.
func (p parser) limits(n *yaml.Node, out *Limits) error {
	return p.mapping(n, "limits", []field{
		{"connections", func(n *yaml.Node) error { return p.count(n, &out.Connections) }},
		{"requests-per-second", func(n *yaml.Node) error { return p.rate(n, &out.RequestsPerSecond) }},
		{"bytes-per-second", func(n *yaml.Node) error { return p.size(n, &out.BytesPerSecond) }},
		{"chunk-size", func(n *yaml.Node) error { return p.size(n, &out.ChunkSize) }},
		{"first-byte-timeout", func(n *yaml.Node) error { return p.duration(n, (*Duration)(&out.FirstByte)) }},
	})
}

// azure reads the key azure of a registry.
func (p parser) azure(n *yaml.Node, out *azure.Registry) error {
	return azure.Read(n, out, azure.Tools{
		Mapping: func(n *yaml.Node, what string, fields []azure.Field) error {
			all := make([]field, len(fields))
			for i, f := range fields {
				all[i] = field{f.Key, f.Read}
			}
			return p.mapping(n, what, all)
		},
		OneOf: p.oneOf, Text: p.text, Path: p.filePath, Variable: p.variable, Bad: p.bad, At: p.at,
	})
}

// policy reads the rules of the policy, with the names of registries replaced by their hosts.
func (p parser) policy(n *yaml.Node, c *Config) error {
	repository := func(n *yaml.Node, out *string) error { return p.repositoryPattern(n, *c, out) }
	return list(p, n, &c.Server.Policy, func(n *yaml.Node, r *Rule) error {
		r.Where = p.path + ":" + strconv.Itoa(n.Line)
		err := p.mapping(n, "a rule", []field{
			{"principals", func(n *yaml.Node) error { return list(p, n, &r.Principals, p.text) }},
			{"verbs", func(n *yaml.Node) error { return list(p, n, &r.Verbs, p.verb) }},
			{"sources", func(n *yaml.Node) error { return list(p, n, &r.Sources, repository) }},
			{"targets", func(n *yaml.Node) error { return list(p, n, &r.Targets, repository) }},
			{"rights", func(n *yaml.Node) error {
				return list(p, n, &r.Rights, func(n *yaml.Node, out *string) error { return p.oneOf(n, rights, "right", out) })
			}},
		})
		if err == nil && (len(r.Principals) == 0 || len(r.Verbs) == 0) {
			err = p.bad(n, "a rule requires principals and verbs", `use ["*"] for all of them`)
		}
		return err
	})
}

// verb reads one of Verbs, or a pattern that matches at least one of them.
func (p parser) verb(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	matches := func(verb string) bool {
		ok, err := path.Match(*out, verb)
		return err == nil && ok
	}
	if strings.ContainsAny(*out, "*?") && slices.ContainsFunc(Verbs(), matches) {
		return nil
	}
	return p.oneOf(n, Verbs(), "verb", out)
}

// repositoryPattern reads a pattern of HOST/REPO or NAME/REPO, where NAME is the name of a registry.
func (p parser) repositoryPattern(n *yaml.Node, c Config, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	first, rest, parted := strings.Cut(*out, "/")
	_, named := c.ByName(first)
	if first == ownRegistry && parted && !named {
		return nil // the server knows its host
	}
	if r, ok := c.ByName(first); ok && parted {
		*out = r.Host + "/" + rest
		return nil
	}
	if !strings.ContainsAny(first, "*?") && (!parted || !ref.LooksLikeHost(first)) {
		var names []string
		for _, r := range c.Registries {
			names = append(names, r.Name)
		}
		cause := strconv.Quote(*out) + " matches nothing: no registry has the name " + strconv.Quote(first)
		return p.bad(n, cause+nearest(first, names), "write HOST/PATTERN or NAME/PATTERN, such as prod/team/**")
	}
	return nil
}

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
