package settings

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// Setting is one value of the file as dray uses it: paths are absolute, and hosts are in their normal
// form. It is never a secret, because the file only names where secrets are.
type Setting struct {
	Key   string // "registries.prod.host"
	Value string
	Line  int // the line in the file
}

// Of lists the settings of c, in the order of the keys in docs/config.md. It reads the file c.Path again to find the
// lines. Without a file it returns none.
func Of(c config.Config) ([]Setting, error) {
	lines, err := c.Lines()
	if err != nil || lines == nil {
		return nil, err
	}
	var all []Setting
	add := func(key string, value any) {
		if line, written := lines[key]; written {
			all = append(all, Setting{key, fmt.Sprint(value), line})
		}
	}
	add("default-registry", c.Default)
	for _, r := range c.Registries {
		registry(r, func(key string, value any) { add("registries."+r.Name+"."+key, value) })
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
		gate(g, func(key string, value any) { add("gates."+g.Name+"."+key, value) })
	}
	add("gate", c.Gate)
	client(c.Client, func(key string, value any) { add("client."+key, value) })
	server(c.Server, func(key string, value any) { add("server."+key, value) })
	return all, nil
}

// registry calls add for each setting of a registry.
func registry(r config.Registry, add func(key string, value any)) {
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
	add("azure.via", r.Azure.Via)
	add("azure.resource-id", r.Azure.ResourceID)
	add("azure.resource-manager", r.Azure.ResourceManager)
	add("azure.source-identity.tenant-id", r.Azure.Source.Tenant)
	add("azure.source-identity.client-id", r.Azure.Source.Client)
	add("azure.source-identity.client-secret-env", r.Azure.Source.SecretEnv)
	add("azure.source-identity.certificate-file", r.Azure.Source.Certificate)
	add("azure.source-identity.token-file", r.Azure.Source.TokenFile)
}

// server calls add for each setting of the server.
func server(s config.Server, add func(key string, value any)) {
	add("listen", s.Listen)
	add("public-url", s.PublicURL)
	add("registry-domain", s.Domain)
	add("data", s.Data)
	add("database", s.Database)
	add("database-env", s.DatabaseEnv)
	add("database-file", s.DatabaseFile)
	add("engine", s.Engine)
	for _, name := range slices.Sorted(maps.Keys(s.Pools)) {
		add("pools."+name, strings.Join(s.Pools[name], ", "))
	}
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
	add("storage.redirect", s.Storage.Redirect)
	if s.Storage.Free != nil {
		add("storage.free", *s.Storage.Free)
	}
	byName(s.Storage.Parameters, "storage.parameters.", add)
	byName(s.Storage.ParametersEnv, "storage.parameters-env.", add)
	byName(s.Storage.ParametersFile, "storage.parameters-file.", add)
	add("schedules", s.Schedules)
	add("audit-heads", s.AuditHeads)
	add("per-principal.queued-jobs", s.PerPrincipal.QueuedJobs)
	add("per-principal.schedules", s.PerPrincipal.Schedules)
	add("per-principal.streams", s.PerPrincipal.Streams)
	add("per-principal.held-answers", s.PerPrincipal.HeldAnswers)
	add("per-principal.uploads", s.PerPrincipal.Uploads)
	add("per-principal.upload-bytes", s.PerPrincipal.UploadBytes)
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

// client calls add for each setting of the client.
func client(c config.Client, add func(key string, value any)) {
	add("server", c.Server)
	add("token-env", c.TokenEnv)
	add("token-file", c.TokenFile)
	add("ca-file", c.CAFile)
	add("client-cert", c.ClientCert)
	add("client-key", c.ClientKey)
}

// gate calls add for each setting of a gate.
func gate(g gates.Gate, add func(key string, value any)) {
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
