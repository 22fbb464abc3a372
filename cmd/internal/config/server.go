package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/drayage/dray/cmd/internal/config/storing"
	"github.com/drayage/dray/cmd/internal/pool"
)

// Server holds the settings of dray serve and dray worker. The zero Server means the defaults: the
// server listens on loopback, has SQLite and a key in the data directory, and serves only users on its
// own machine.
type Server struct {
	Listen    string // HOST:PORT
	PublicURL string // the URL that clients use, without a path; "" means the host of each request
	Domain    string // the domain below which each registry has a name; "" means that they have none
	Data      string // the absolute path of the data directory

	// At most one of the next three is set.
	Database     string // "sqlite:PATH", or "postgres://…" without a password
	DatabaseEnv  string // the name of a variable with the URL
	DatabaseFile string // the absolute path of a file with the URL

	Engine string     // "temporal://HOST:PORT/NAMESPACE"; "" means the engine inside the process
	Pools  pool.Pools // the registries that only some workers reach; nil means none

	TLS        TLS
	Auth       Auth
	Policy     []Rule
	Egress     Egress
	Secrets    Secrets
	Storage    storing.Storage
	Schedules  string // the absolute path of a file of mirror rules
	AuditHeads string // the absolute path of a file for signed heads of the audit log

	PerPrincipal PerPrincipal
}

// PerPrincipal limits what each principal may have at the same time; 0 means the server's default.
type PerPrincipal struct {
	QueuedJobs  int
	Schedules   int
	Streams     int
	HeldAnswers int
	Uploads     int   // unfinished ones to the server's own registry
	UploadBytes int64 // of those
}

// TLS names PEM files by absolute paths. Cert and Key are both set or both empty; ClientCA requires both.
type TLS struct {
	Cert, Key string
	ClientCA  string // the certificates of the authorities that sign client certificates
}

// Auth names the principals that exist in addition to the owners of tokens.
type Auth struct {
	Htpasswd string            // the absolute path of a file of users
	Roles    map[string]string // "reader", "submitter" or "admin", by the name of a principal
}

// Rule is one rule of the policy. It converts to access.Rule. In Sources and Targets, the names of
// registries are already replaced by their hosts.
type Rule struct {
	Principals []string
	Verbs      []string
	Sources    []string
	Targets    []string
	Rights     []string
	Where      string // the place in the file, such as "config.yaml:12"
}

// Egress lists the networks that the server may connect to, in addition to public addresses and the
// configured registries.
type Egress struct {
	Allow []netip.Prefix
}

// Secrets says where the key comes from that encrypts stored secrets. At most one field is set.
type Secrets struct {
	KeyFile    string   // an absolute path
	KeyEnv     string   // the name of a variable
	KeyCommand []string // a program that prints the key, and its arguments
}

// ownRegistry is the name of a server's own registry, unless a registry of the configuration has it.
const ownRegistry = "dray"

// Verbs returns the verbs that rules of the policy may name: those of requests, and those of the server's
// own registry.
func Verbs() []string {
	return []string{
		"import", "copy", "tag", "batch", "transfer", "plan", "apply", "verify", "pull", "push", "delete",
	}
}

var (
	roles  = []string{"reader", "submitter", "admin"}
	rights = []string{"create", "overwrite", "mount", "delete"}
)

// server reads the key server, except for the policy, which it returns unread: the policy may name
// registries that come later in the file.
func (p parser) server(n *yaml.Node, s *Server) (policy *yaml.Node, err error) {
	var ways []string
	way := func(key string, read func(*yaml.Node, *string) error, to *string) field {
		return field{key, func(n *yaml.Node) error { ways = append(ways, key); return read(n, to) }}
	}
	err = p.mapping(n, "server", []field{
		{"listen", func(n *yaml.Node) error { return p.listen(n, &s.Listen) }},
		{"public-url", func(n *yaml.Node) error { return p.serverURL(n, &s.PublicURL) }},
		{"registry-domain", func(n *yaml.Node) error { return p.host(n, &s.Domain) }},
		{"data", func(n *yaml.Node) error { return p.filePath(n, &s.Data) }},
		way("database", p.database, &s.Database),
		way("database-env", p.variable, &s.DatabaseEnv),
		way("database-file", p.filePath, &s.DatabaseFile),
		{"engine", func(n *yaml.Node) error { return p.engine(n, &s.Engine) }},
		{"pools", func(n *yaml.Node) error { return p.pools(n, &s.Pools) }},
		{"tls", func(n *yaml.Node) error { return p.tls(n, &s.TLS) }},
		{"auth", func(n *yaml.Node) error { return p.auth(n, &s.Auth) }},
		{"policy", func(n *yaml.Node) error { policy = n; return nil }},
		{"egress", func(n *yaml.Node) error {
			return p.mapping(n, "egress", []field{
				{"allow", func(n *yaml.Node) error { return list(p, n, &s.Egress.Allow, p.prefix) }},
			})
		}},
		{"secrets", func(n *yaml.Node) error { return p.secrets(n, &s.Secrets) }},
		{"storage", func(n *yaml.Node) error { return p.storage(n, &s.Storage) }},
		{"schedules", func(n *yaml.Node) error { return p.filePath(n, &s.Schedules) }},
		{"audit-heads", func(n *yaml.Node) error { return p.filePath(n, &s.AuditHeads) }},
		{"per-principal", func(n *yaml.Node) error { return p.perPrincipal(n, &s.PerPrincipal) }},
	})
	if err == nil && len(ways) > 1 {
		err = p.bad(n, strings.Join(ways, " and ")+" cannot be combined", "keep one of them")
	}
	return policy, err
}

// listen reads HOST:PORT.
func (p parser) listen(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(*out)
	number, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || strconv.FormatUint(number, 10) != port {
		return p.bad(n, "not an address to listen on: "+strconv.Quote(*out), "write HOST:PORT, such as 0.0.0.0:5000")
	}
	return nil
}

// database reads the URL of a database, which must not contain a password.
func (p parser) database(n *yaml.Node, out *string) error {
	var s string
	if err := p.text(n, &s); err != nil {
		return err
	}
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok && path != "" {
		at := *n
		at.Value = path
		if err := p.filePath(&at, out); err != nil {
			return err
		}
		*out = "sqlite:" + *out
		return nil
	}
	const hint = "write sqlite:PATH or postgres://USER@HOST/NAME; put a password in database-env or database-file"
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return p.bad(n, "not the address of a database", hint) // the error does not contain s, which may hold a password
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") {
		return p.bad(n, "a password does not belong in this file", hint)
	}
	*out = s
	return nil
}

// engine reads the URL of an engine, which must not contain a secret.
func (p parser) engine(n *yaml.Node, out *string) error {
	if err := p.text(n, out); err != nil {
		return err
	}
	u, err := url.Parse(*out)
	switch {
	case err != nil || u.Scheme != "temporal" || u.Host == "":
		return p.bad(n, "not the address of an engine", "write temporal://HOST:7233/NAMESPACE")
	case u.User != nil || u.Query().Has("api-key"):
		return p.bad(n, "a login does not belong in this file",
			"put an API key in $TEMPORAL_API_KEY, or in a file and write temporal://HOST:7233/NAMESPACE?api-key-file=FILE")
	}
	return nil
}

// pools reads the key pools.
func (p parser) pools(n *yaml.Node, out *pool.Pools) error {
	*out = pool.Pools{}
	of := map[string]string{}
	return p.each(n, "pools", func(key, value *yaml.Node) error {
		if err := pool.Name(key.Value); err != nil {
			return p.wrong(key, err)
		}
		var all []string
		err := list(p, value, &all, func(n *yaml.Node, to *string) error {
			if err := p.text(n, to); err != nil {
				return err
			}
			host, err := pool.Registry(*to)
			if err != nil {
				return p.wrong(n, err)
			}
			if other, taken := of[host]; taken {
				return p.bad(n, host+" is in pool "+other+" already", "keep each registry in one pool")
			}
			*to, of[host] = host, key.Value
			return nil
		})
		if err == nil && len(all) == 0 {
			err = p.bad(value, "a pool without registries has no effect", "list its registries, or remove it")
		}
		(*out)[key.Value] = all
		return err
	})
}

// tls reads the key tls.
func (p parser) tls(n *yaml.Node, t *TLS) error {
	err := p.mapping(n, "tls", []field{
		{"cert", func(n *yaml.Node) error { return p.filePath(n, &t.Cert) }},
		{"key", func(n *yaml.Node) error { return p.filePath(n, &t.Key) }},
		{"client-ca", func(n *yaml.Node) error { return p.filePath(n, &t.ClientCA) }},
	})
	if err == nil && (t.Cert == "" || t.Key == "") {
		err = p.bad(n, "tls requires cert and key", "set both")
	}
	return err
}

// auth reads the key auth.
func (p parser) auth(n *yaml.Node, a *Auth) error {
	return p.mapping(n, "auth", []field{
		{"htpasswd", func(n *yaml.Node) error { return p.filePath(n, &a.Htpasswd) }},
		{"roles", func(n *yaml.Node) error {
			a.Roles = map[string]string{}
			return p.each(n, "roles", func(key, value *yaml.Node) error {
				var role string
				if err := p.oneOf(value, roles, "role", &role); err != nil {
					return err
				}
				a.Roles[key.Value] = role
				return nil
			})
		}},
	})
}

// prefix reads a network such as 10.0.0.0/8.
func (p parser) prefix(n *yaml.Node, out *netip.Prefix) error {
	var s string
	if err := p.text(n, &s); err != nil {
		return err
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil || prefix != prefix.Masked() {
		return p.bad(n, "not a network: "+strconv.Quote(s), "write ADDRESS/BITS, such as 10.0.0.0/8")
	}
	*out = prefix
	return nil
}

// perPrincipal reads the key per-principal.
func (p parser) perPrincipal(n *yaml.Node, out *PerPrincipal) error {
	return p.mapping(n, "per-principal", []field{
		{"queued-jobs", func(n *yaml.Node) error { return p.count(n, &out.QueuedJobs) }},
		{"schedules", func(n *yaml.Node) error { return p.count(n, &out.Schedules) }},
		{"streams", func(n *yaml.Node) error { return p.count(n, &out.Streams) }},
		{"held-answers", func(n *yaml.Node) error { return p.count(n, &out.HeldAnswers) }},
		{"uploads", func(n *yaml.Node) error { return p.count(n, &out.Uploads) }},
		{"upload-bytes", func(n *yaml.Node) error { return p.size(n, &out.UploadBytes) }},
	})
}

// secrets reads the key secrets.
func (p parser) secrets(n *yaml.Node, s *Secrets) error {
	var ways []string
	err := p.mapping(n, "secrets", []field{
		{"key-file", func(n *yaml.Node) error { ways = append(ways, "key-file"); return p.filePath(n, &s.KeyFile) }},
		{"key-env", func(n *yaml.Node) error { ways = append(ways, "key-env"); return p.variable(n, &s.KeyEnv) }},
		{"key-command", func(n *yaml.Node) error {
			ways = append(ways, "key-command")
			return list(p, n, &s.KeyCommand, p.text)
		}},
	})
	if err == nil && (len(ways) != 1 || s.KeyFile+s.KeyEnv == "" && len(s.KeyCommand) == 0) {
		err = p.bad(n, "secrets requires exactly one source of the key", "use key-file, key-env or key-command")
	}
	return err
}
