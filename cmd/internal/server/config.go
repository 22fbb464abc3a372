package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/ref"
)

const (
	defaultGrace = 8 * time.Second
	defaultStall = time.Minute
	defaultSlots = 4
	defaultOpen  = 1000 // streams and held answers of one principal
)

// Config says what to serve, where, and to whom. Only Data has to be set: that is a
// server for this machine alone, whose every user is its admin until one is configured.
type Config struct {
	// Listen is HOST:PORT, port 0 for any free one; "" is wire.DefaultListen. One that is not
	// loopback wants TLS (or Plain) and somebody configured: a token, Htpasswd or ClientCA.
	Listen string
	// PublicURL is what clients call the server, "https://HOST[:PORT]"; "" is what each
	// request says. Its host is the embedded registry's name in rules and jobs; without
	// it that is the address of Listen.
	PublicURL string
	// Ops is HOST:PORT of a second listener for /healthz, /readyz and /metrics, without TLS
	// and without authentication; "" is none. A Worker has no other.
	Ops string

	// Data is the directory of the database, the registry and the key, made when it is
	// not there. One process at a time holds it.
	Data string
	// Database is "sqlite:PATH" or "postgres://…"; "" is Data/dray.db. With PostgreSQL
	// several servers and workers, each with a Data of its own, share the jobs.
	Database string
	// Storage is where the registry keeps content; the zero Storage is in Data.
	Storage registry.Storage

	TLS   TLS
	Plain Plain // "" is RefusePlain

	// Htpasswd is a file of users with bcrypt hashes, read again when it changes; "" for none.
	Htpasswd string
	// Roles are those of htpasswd's users and of certificates; who is not here is a reader.
	Roles map[string]access.Role
	// Rules grant what a role alone does not. A rule for the principal "anonymous" lets
	// pull without credentials.
	Rules []access.Rule
	// Key is where the key is that seals secrets; the zero source is Data/key, made when it
	// is not there. Servers and workers of one database want the same key.
	Key access.KeySource
	// Egress are the private and loopback nets that jobs may reach, beside public addresses
	// and the configured registries.
	Egress []netip.Prefix

	// Schedules are those of the principal "configuration"; nil leaves it what it has.
	Schedules []wire.ScheduleRequest

	// Dray holds the registries, logins and limits of jobs. Local, Dial and StateDir are set here.
	Dray dray.Config
	// Slots is how many jobs run at a time in this process; 0 is 4, negative is none: it
	// accepts jobs and leaves them to workers.
	Slots int
	// Keep is how long ended jobs are kept, 0 is 30 days; KeepMost how many, 0 is a million.
	Keep     time.Duration
	KeepMost int

	// PerPrincipal bounds what one may have at a server at a time.
	PerPrincipal PerPrincipal

	// Grace is how long requests and jobs that run may take to end after a stop; 0 is 8 s.
	// Jobs that do not are given back to the queue.
	Grace time.Duration
	// Stall is how long a client may take to send or take the next bytes; 0 is a minute.
	Stall time.Duration

	Version string       // of dray, for traces and the page
	Log     *slog.Logger // nil is silent
	// Env reads the environment: OTEL_EXPORTER_OTLP_ENDPOINT turns traces on. nil is the process's.
	Env func(string) string
	// Ready is called once, when connections are accepted, with the real address; everything
	// is open by then. nil is allowed.
	Ready func(addr net.Addr)
}

// PerPrincipal is what each principal may have at a time; 0 is the default.
type PerPrincipal struct {
	QueuedJobs int // 100,000; another is refused until some are done
	Streams    int // 1000, of events; another is refused
	Held       int // 1000 answers that wait for the end of their job; another is given at once
}

// TLS names PEM files, which are read again when they change and on SIGHUP. Cert and Key are
// both there or neither; ClientCA wants both.
type TLS struct {
	Cert, Key string
	ClientCA  string // certificates that sign clients'; "" for none
}

// Plain says whether passwords may go over the network in the clear.
type Plain string

const (
	RefusePlain Plain = ""
	// AllowPlain is for a server behind a proxy that has TLS, on a network that nobody else is on.
	AllowPlain Plain = "allow"
)

// filled returns c with its defaults, or what is wrong with it: all that can be told without
// opening anything.
func (c Config) filled() (Config, error) {
	c.Listen = cmp.Or(c.Listen, wire.DefaultListen)
	c.Grace = cmp.Or(c.Grace, defaultGrace)
	c.Stall = cmp.Or(c.Stall, defaultStall)
	c.Slots = cmp.Or(c.Slots, defaultSlots)
	c.PerPrincipal.Streams = cmp.Or(c.PerPrincipal.Streams, defaultOpen)
	c.PerPrincipal.Held = cmp.Or(c.PerPrincipal.Held, defaultOpen)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Env == nil {
		c.Env = os.Getenv
	}
	if c.Data == "" {
		return c, configFault("data directory", "name one with --data", errors.New("none"))
	}
	dir, err := filepath.Abs(c.Data)
	if err != nil {
		return c, configFault(c.Data, "", err)
	}
	c.Data = dir
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(c.Data, databaseFile)
	}
	if c.Key.File == "" && c.Key.Env == "" && len(c.Key.Command) == 0 {
		c.Key.File = filepath.Join(c.Data, keyFile)
	}
	if c.Grace < 0 || c.Stall < 0 {
		return c, configFault("times", "leave it out for the default", errors.New("a negative time"))
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") || c.TLS.ClientCA != "" && c.TLS.Cert == "" {
		return c, configFault("TLS", "name a certificate and its key", errors.New("half of a pair"))
	}
	if c.PublicURL, err = publicURL(c.PublicURL); err != nil {
		return c, configFault(c.PublicURL, "write https://HOST or https://HOST:PORT", err)
	}
	return c, nil
}

// Files in the data directory, beside those of the registry.
const (
	databaseFile = "dray.db"
	keyFile      = "key"
	uploadsDir   = "uploads" // what of uploads elsewhere was under way
)

func publicURL(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return s, errors.New("not what clients can call a server")
	}
	host, err := ref.Host(u.Host)
	if err != nil {
		return s, err
	}
	return u.Scheme + "://" + host, nil
}

// hosts are the names by which clients and jobs may mean this server's registry, the one
// that rules and jobs call it first.
func (c Config) hosts(addr net.Addr) []string {
	var all []string
	if _, host, ok := strings.Cut(c.PublicURL, "://"); ok {
		all = append(all, host)
	}
	host, _, _ := net.SplitHostPort(c.Listen)
	_, port, _ := net.SplitHostPort(addr.String())
	ip := net.ParseIP(host)
	switch {
	case strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback():
		all = append(all, addr.String(), "localhost:"+port, "127.0.0.1:"+port, "[::1]:"+port)
	case ip == nil && host != "":
		all = append(all, strings.ToLower(host)+":"+port)
	default:
		all = append(all, addr.String())
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
}

// isLoopback reports whether addr, HOST:PORT, can be reached from this machine alone.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// behindProxy reports whether the configuration tells of a proxy: what comes over loopback then may be
// anybody's, and a proxy that passes bytes on leaves no trace of itself in a request.
func (c Config) behindProxy() bool {
	_, host, ok := strings.Cut(c.PublicURL, "://")
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), "443")
	}
	return ok && !isLoopback(host) || c.Plain == AllowPlain
}

// anonymous reports whether a rule lets in who has no credentials.
func (c Config) anonymous() bool {
	return slices.ContainsFunc(c.Rules, func(r access.Rule) bool { return slices.Contains(r.Principals, access.Anonymous) })
}

// EmbeddedName is what requests call the embedded registry, where no registry that is
// configured has its host or this name. Without another default imports go there.
const EmbeddedName = "dray"

// registries are those that are configured, and the embedded one among them.
func (c Config) registries(hosts []string) map[string]dray.Registry {
	all := maps.Clone(c.Dray.Registries)
	if all == nil {
		all = map[string]dray.Registry{}
	}
	if len(hosts) == 0 {
		return all
	}
	_, taken := all[EmbeddedName]
	for _, r := range all {
		taken = taken || slices.Contains(hosts, r.Host)
	}
	if !taken {
		all[EmbeddedName] = dray.Registry{Host: hosts[0]}
	}
	return all
}

// drayConfig is what jobs run with, and the addresses to which it may go.
func (c Config) drayConfig(a *access.Access, hosts []string) (dray.Config, *access.Egress) {
	d := c.Dray
	d.Registries = c.registries(hosts)
	if _, ours := d.Registries[EmbeddedName]; ours && d.Default == "" && len(hosts) > 0 {
		d.Default = EmbeddedName
	}
	egress := &access.Egress{Allow: c.Egress}
	for _, r := range c.Dray.Registries {
		egress.Hosts = append(egress.Hosts, r.Host)
		egress.Hosts = append(egress.Hosts, r.Mirrors...)
		egress.Hosts = append(egress.Hosts, r.TokenHosts...)
	}
	egress.Hosts = append(egress.Hosts, access.Proxies(c.Env)...)
	d.Dial = egress.Dial
	d.StateDir = filepath.Join(c.Data, uploadsDir)
	// What was stored at the server goes before what this machine happens to hold.
	d.Logins = append(credential.Chain{a.Lookup}, d.Logins...)
	return d, egress
}

func configFault(name, hint string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "configure server", Name: name, Hint: hint, Err: err}
}

var errOpen = errors.New("not loopback, and nobody is configured: everybody on the network could write here")

// users says whether somebody is configured who could log in.
type users string

const (
	noUsers      users = "nobody"
	someUsers    users = "somebody"
	unknownUsers users = "maybe" // the database was not asked yet
)

// mayListen refuses what would let strangers write, or passwords be read on the way.
func (c Config) mayListen(have users) error {
	if isLoopback(c.Listen) {
		return nil
	}
	if c.TLS.Cert == "" && c.Plain != AllowPlain {
		return configFault(c.Listen, "give a certificate and its key, or listen on "+wire.DefaultListen, fmt.Errorf("not loopback, and without TLS: passwords would go in the clear"))
	}
	if have == noUsers {
		return configFault(c.Listen, "make a token first (dray serve token create), or name an htpasswd file or a client CA", errOpen)
	}
	return nil
}

// filePath is the path of a database that is a file.
func filePath(database string) (string, bool) { return strings.CutPrefix(database, "sqlite:") }

func isFile(database string) bool {
	_, ok := filePath(database)
	return ok
}
