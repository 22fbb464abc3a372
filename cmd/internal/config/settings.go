package config

import (
	_ "embed"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/cmd/internal/config/textfile"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"go.yaml.in/yaml/v3"
)

//go:embed schema.json
var schema string

// Schema returns the JSON Schema (draft 2020-12) of the configuration file.
func Schema() []byte { return []byte(schema) }

// Setting is one value of the file as dray uses it: paths are absolute, and hosts are in their normal
// form. It is never a secret, because the file only names where secrets are.
type Setting struct {
	Key   string // "registries.prod.host"
	Value string
	Line  int // the line in the file
}

// Settings lists the settings of c, in the order of the keys in docs/config.md. It reads the file
// c.Path again to find the lines. Without a file it returns none.
func (l Loader) Settings(c Config) ([]Setting, error) {
	if c.Path == "" {
		return nil, nil
	}
	data, err := textfile.Read("read configuration", c.Path, maxFile)
	if err != nil {
		return nil, err
	}
	root, err := parser{path: c.Path}.root(data)
	if err != nil || root == nil {
		return nil, err
	}
	lines := map[string]int{}
	keyLines(root, "", lines)
	var all []Setting
	add := func(key string, value any) {
		if line, written := lines[key]; written {
			all = append(all, Setting{key, fmt.Sprint(value), line})
		}
	}
	add("default-registry", c.Default)
	for _, r := range c.Registries {
		r.settings(func(key string, value any) { add("registries."+r.Name+"."+key, value) })
	}
	if !c.Referrers.Selects() && lines["referrers.mode"] == 0 {
		add("referrers", c.Referrers.Mode)
	}
	add("referrers.mode", c.Referrers.Mode)
	add("referrers.types", strings.Join(c.Referrers.Types, ", "))
	byName(c.Referrers.Annotations, "referrers.annotations.", add)
	if words := oci.PlatformsString(c.Platforms.Only); lines["platforms.only"] != 0 {
		add("platforms.only", words)
		add("platforms.sparse", c.Platforms.Form == plan.Sparse)
		add("platforms.optional", c.Platforms.Lacks == plan.Optional)
	} else if lines["platforms"] != 0 {
		add("platforms", words)
	}
	add("include-foreign", c.IncludeForeign)
	for _, g := range c.Gates {
		gateSettings(g, func(key string, value any) { add("gates."+g.Name+"."+key, value) })
	}
	add("gate", c.Gate)
	c.Client.settings(func(key string, value any) { add("client."+key, value) })
	c.Server.settings(func(key string, value any) { add("server."+key, value) })
	return all, nil
}

// settings calls add for each setting of a registry.
func (r Registry) settings(add func(key string, value any)) {
	add("host", r.Host)
	add("aliases", strings.Join(r.Aliases, ", "))
	add("kind", r.Kind)
	add("plain-http", r.PlainHTTP)
	add("insecure", r.Insecure)
	add("ca-file", r.CAFile)
	add("client-cert", r.ClientCert)
	add("client-key", r.ClientKey)
	add("token-hosts", strings.Join(r.TokenHosts, ", "))
	add("mirrors", strings.Join(r.Mirrors, ", "))
	add("create", r.Create)
	add("limits.connections", r.Limits.Connections)
	add("limits.requests-per-second", strconv.FormatFloat(r.Limits.RequestsPerSecond, 'f', -1, 64))
	add("limits.bytes-per-second", r.Limits.BytesPerSecond)
	add("limits.chunk-size", r.Limits.ChunkSize)
	add("limits.first-byte-timeout", r.Limits.FirstByte)
	add("credentials.username", r.Credentials.Username)
	add("credentials.password-env", r.Credentials.PasswordEnv)
	add("credentials.password-file", r.Credentials.PasswordFile)
	add("credentials.helper", r.Credentials.Helper)
	add("credentials.token-env", r.Credentials.TokenEnv)
	add("credentials.token-file", r.Credentials.TokenFile)
}

// settings calls add for each setting of the server.
func (s Server) settings(add func(key string, value any)) {
	add("listen", s.Listen)
	add("public-url", s.PublicURL)
	add("data", s.Data)
	add("database", s.Database)
	add("database-env", s.DatabaseEnv)
	add("database-file", s.DatabaseFile)
	add("tls.cert", s.TLS.Cert)
	add("tls.key", s.TLS.Key)
	add("tls.client-ca", s.TLS.ClientCA)
	add("auth.htpasswd", s.Auth.Htpasswd)
	byName(s.Auth.Roles, "auth.roles.", add)
	add("policy", fmt.Sprintf("%d rules", len(s.Policy)))
	add("egress.allow", joined(s.Egress.Allow))
	add("secrets.key-file", s.Secrets.KeyFile)
	add("secrets.key-env", s.Secrets.KeyEnv)
	add("secrets.key-command", strings.Join(s.Secrets.KeyCommand, " "))
	add("storage.driver", s.Storage.Driver)
	byName(s.Storage.Parameters, "storage.parameters.", add)
	byName(s.Storage.ParametersEnv, "storage.parameters-env.", add)
	add("schedules", s.Schedules)
	add("per-principal.queued-jobs", s.PerPrincipal.QueuedJobs)
	add("per-principal.streams", s.PerPrincipal.Streams)
	add("per-principal.held-answers", s.PerPrincipal.HeldAnswers)
}

// byName calls add for each value, in the order of the names.
func byName(values map[string]string, prefix string, add func(key string, value any)) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		add(prefix+name, values[name])
	}
}

func joined(nets []netip.Prefix) string {
	var all []string
	for _, n := range nets {
		all = append(all, n.String())
	}
	return strings.Join(all, ", ")
}

// keyLines stores in lines the line of each key below n.
func keyLines(n *yaml.Node, prefix string, lines map[string]int) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := prefix + n.Content[i].Value
		lines[key] = n.Content[i].Line
		keyLines(n.Content[i+1], key+".", lines)
	}
}

// Files returns the files that the settings of the registry name.
func (r Registry) Files() []Setting {
	files := []string{
		"ca-file", "client-cert", "client-key", "credentials.password-file", "credentials.token-file",
	}
	var named []Setting
	r.settings(func(key string, value any) {
		if s := fmt.Sprint(value); s != "" && slices.Contains(files, key) {
			named = append(named, Setting{Key: "registries." + r.Name + "." + key, Value: s})
		}
	})
	return named
}

// GateFiles returns the files and directories that the gates name.
func (c Config) GateFiles() []Setting {
	var named []Setting
	add := func(g gates.Gate, key, path string) {
		if path != "" {
			named = append(named, Setting{Key: "gates." + g.Name + ".signature." + key, Value: path})
		}
	}
	for _, g := range c.Gates {
		for _, path := range g.Signature.Keys {
			add(g, "key", path)
		}
		if k := g.Signature.Keyless; k != nil {
			add(g, "keyless.roots", k.Roots)
		}
		if n := g.Signature.Notation; n != nil {
			add(g, "notation.store", n.Store)
			add(g, "notation.policy", n.Policy)
		}
	}
	return named
}

// Files returns the files that the settings of the server name, except for those that the server
// creates itself.
func (s Server) Files() []Setting {
	var named []Setting
	for _, f := range []Setting{
		{Key: "database-file", Value: s.DatabaseFile},
		{Key: "tls.cert", Value: s.TLS.Cert},
		{Key: "tls.key", Value: s.TLS.Key},
		{Key: "tls.client-ca", Value: s.TLS.ClientCA},
		{Key: "auth.htpasswd", Value: s.Auth.Htpasswd},
		{Key: "schedules", Value: s.Schedules},
	} {
		if f.Value != "" {
			f.Key = "server." + f.Key
			named = append(named, f)
		}
	}
	return named
}

// settings calls add for each setting of the client.
func (c Client) settings(add func(key string, value any)) {
	add("server", c.Server)
	add("token-env", c.TokenEnv)
	add("token-file", c.TokenFile)
	add("ca-file", c.CAFile)
	add("client-cert", c.ClientCert)
	add("client-key", c.ClientKey)
}
