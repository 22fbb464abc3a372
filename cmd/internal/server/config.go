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
	"github.com/drayage/dray/cmd/internal/access/egress"
	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/ref"
)

const (
	defaultGrace = 8 * time.Second
	defaultStall = time.Minute
	defaultSlots = 4
	defaultOpen  = 1000 // event streams, and held answers, of one principal
)

// Config says what to serve, on which addresses and to which users. Only Data is required. With only Data set, the
// server listens on loopback, and everybody on this machine is an admin until a user is configured.
type Config struct {
	// Listen is the address as HOST:PORT; port 0 means any free port, "" means wire.DefaultListen. An address that is
	// not loopback requires TLS (or Plain) and at least one way to log in: a token, Htpasswd or ClientCA.
	Listen string
	// PublicURL is the URL that clients use, "https://HOST[:PORT]"; "" means the host of each request. Its host is the
	// name of the embedded registry in rules and jobs. Without PublicURL, that name is the address of Listen.
	PublicURL string
	// Domain is the domain below which each configured registry has a name of this server: "dray.example" for
	// NAME.dray.example. Requests under these names are passed on with the server's login, as the rules allow. "" means
	// that there are no such names.
	Domain string
	// Ops is the HOST:PORT of a second listener for /healthz, /readyz and /metrics, without TLS and
	// without authentication; "" means no such listener. It is the only listener of a Worker.
	Ops string

	// Data is the directory of the database, the registry and the key. It is created if it does not
	// exist. Only one process at a time can use it.
	Data string
	// Database is "sqlite:PATH" or "postgres://…"; "" means Data/dray.db. PostgreSQL requires an Engine: several
	// servers and workers share the jobs then, and each of them needs its own Data.
	Database string
	// Engine is the URL of what hands out the jobs to several machines, "temporal://HOST:PORT/NAMESPACE"; see
	// temporal.Config. It requires PostgreSQL. "" means that this process runs its jobs alone.
	Engine string
	// DatabaseFrom and EngineFrom name the flag, key or variable that set Database and Engine, for errors.
	DatabaseFrom, EngineFrom string
	// Pools has the registries that only some workers reach. It requires an Engine.
	Pools pool.Pools
	// Serves lists the pools whose jobs this process runs; pool.Default stands for the jobs of no pool, and is
	// the default. A server always runs the jobs that touch its own registry. It requires an Engine.
	Serves []string
	// Storage is where the registry stores content; the zero value means in Data.
	Storage registry.Storage

	TLS   TLS
	Plain Plain // "" means RefusePlain

	// Htpasswd is a file of users with bcrypt hashes. It is read again when it changes; "" means none.
	Htpasswd string
	// Roles holds the roles of the users of Htpasswd and of client certificates. A user that is not listed is a reader.
	Roles map[string]access.Role
	// Rules grants what a role alone does not. A rule for the principal "anonymous" allows pulls without credentials.
	Rules []access.Rule
	// Key is the source of the key that encrypts secrets. The zero value means the file Data/key, which
	// is created if it does not exist. All servers and workers of one database need the same key.
	Key access.KeySource
	// Egress lists the private and loopback networks that jobs may connect to, in addition to public
	// addresses and the configured registries.
	Egress []netip.Prefix

	// Schedules lists the schedules of the principal "configuration"; nil leaves its stored schedules as they are.
	Schedules []wire.ScheduleRequest

	// Dray holds the registries, logins and limits of jobs. The server sets Dial and StateDir itself.
	Dray dray.Config
	// Gates are the gates that requests can name, by their names. That of Dray counts for every job.
	Gates map[string]gate.Gate
	// Slots is how many jobs run at the same time in this process; 0 means 4. A negative number means
	// none: the process accepts jobs and leaves them to workers.
	Slots int
	// Keep is how long jobs are kept after they ended; 0 means 30 days. KeepMost is how many of them
	// are kept; 0 means a million.
	Keep     time.Duration
	KeepMost int

	// AuditHeads is a file to which the server appends signed heads of the audit log; "" means none. They are always
	// in the log of the server.
	AuditHeads string
	// PerPrincipal limits what one principal may use of a server at the same time.
	PerPrincipal PerPrincipal

	// Grace is how long running requests and jobs may take to end after a stop; 0 means 8 s. Jobs
	// that have not ended then go back to the queue.
	Grace time.Duration
	// Stall is how long a client may take to send or read the next bytes; 0 means one minute.
	Stall time.Duration

	// Files is how many files and connections this process may have open at the same time; 0 means that it is no limit.
	// Clients, jobs and content share them. Fewer than 64 are Invalid.
	Files int

	Version string       // the version of dray, for traces and the API
	Log     *slog.Logger // nil means no log
	// Env returns an environment variable; nil means os.Getenv. OTEL_EXPORTER_OTLP_ENDPOINT turns traces on.
	Env func(string) string
	// Ready is called once with the address that the server listens on, when it accepts connections
	// and everything is open. nil is allowed.
	Ready func(addr net.Addr)
}

// PerPrincipal limits what each principal may have at the same time; 0 means the default.
type PerPrincipal struct {
	QueuedJobs int // jobs in the queue, 100,000 by default; more are refused until some are done
	Schedules  int // schedules, 1000 by default; more are refused
	Streams    int // open event streams, 1000 by default; more are refused
	Held       int // answers that wait for the end of a job, 1000 by default; more are answered at once
	// Unfinished limits the uploads to the registry that a principal has begun and not finished.
	Unfinished registry.Unfinished
}

// TLS names PEM files, which are read again when they change and on SIGHUP. Cert and Key must both be
// set or both be empty; ClientCA requires both.
type TLS struct {
	Cert, Key string
	ClientCA  string // the certificates of the authorities that sign client certificates; "" means none
}

// Plain says whether passwords may go over the network without encryption.
type Plain string

// What the server does without TLS.
const (
	// RefusePlain refuses to listen for other machines without TLS.
	RefusePlain Plain = ""
	// AllowPlain is for a server behind a proxy that terminates TLS, on a network with no other users.
	AllowPlain Plain = "allow"
)

// filled returns c with its defaults. It returns an error for a setting that is wrong by itself,
// without opening anything.
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
		return c, configFault("data directory", "set it with --data", errors.New("not set"))
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
	for name, d := range map[string]time.Duration{"Grace": c.Grace, "Stall": c.Stall} {
		if d < 0 {
			return c, configFault(name, "leave it out to use the default", fmt.Errorf("%s is negative", d))
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") || c.TLS.ClientCA != "" && c.TLS.Cert == "" {
		return c, configFault("TLS", "set both the certificate and its key",
			errors.New("the certificate or its key is missing"))
	}
	if c.PublicURL, err = publicURL(c.PublicURL); err != nil {
		return c, configFault(c.PublicURL, "use https://HOST or https://HOST:PORT", err)
	}
	return c, nil
}

// Names in the data directory, in addition to those of the registry.
const (
	databaseFile = "dray.db"
	keyFile      = "key"
	storageDir   = "storage" // the content of the registry
	uploadsDir   = "uploads" // the state of unfinished uploads to other registries
)

// publicURL returns s as "SCHEME://HOST", with the host in its normal form.
func publicURL(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	onlyHost := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil &&
		strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
	if !onlyHost {
		return s, errors.New("not a URL that clients can use")
	}
	host, err := ref.Host(u.Host)
	if err != nil {
		return s, err
	}
	return u.Scheme + "://" + host, nil
}

// hosts returns the names that clients and jobs may use for this server's registry. The first is the
// name in rules and jobs.
func (c Config) hosts(addr net.Addr) []string {
	var all []string
	if scheme, host, ok := strings.Cut(c.PublicURL, "://"); ok {
		if !ref.LooksLikeHost(host) { // then a name cannot begin with it
			host += map[string]string{"http": ":80", "https": ":443"}[scheme]
		}
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

// signIn returns the hint for a user of the server who needs a login at a host. The server does not use the
// logins of the user's machine, and without --server, the command would store the login there.
func (c Config) signIn(hosts []string) func(host string) string {
	at := c.url(hosts)
	return func(host string) string {
		return "send a login with the request, or store it at the server: " +
			shell.Dray("serve", "secret", "put", strings.ReplaceAll(host, ":", "-"), host,
				"-u", "USER", "--password-stdin", "--server", at)
	}
}

// url returns the URL of the server for people, or "URL" if the server does not know it: it listens on all
// interfaces without a PublicURL, or it is a worker.
func (c Config) url(hosts []string) string {
	listen, _, _ := net.SplitHostPort(c.Listen)
	ip := net.ParseIP(listen)
	switch {
	case c.PublicURL != "":
		return c.PublicURL
	case len(hosts) == 0 || listen == "" || ip != nil && ip.IsUnspecified():
		return "URL"
	case c.TLS.Cert != "":
		return "https://" + hosts[0]
	}
	return "http://" + hosts[0]
}

// own returns the names that mean the embedded registry in rules. hosts are its hosts; a worker has none.
func (c Config) own(hosts []string) []string {
	if _, host, ok := strings.Cut(c.PublicURL, "://"); ok && len(hosts) == 0 {
		hosts = []string{host}
	}
	if len(hosts) == 0 {
		return nil
	}
	return append(slices.Clone(hosts), wire.EmbeddedName)
}

// isLoopback reports whether addr, HOST:PORT, can be reached only from this machine.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// behindProxy reports whether the configuration suggests a proxy in front of the server. A request over loopback may
// then come from anybody. The request itself does not show it, because a TCP proxy leaves no trace in it.
func (c Config) behindProxy() bool {
	_, host, ok := strings.Cut(c.PublicURL, "://")
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), "443")
	}
	return ok && !isLoopback(host) || c.Plain == AllowPlain
}

// anonymous reports whether a rule allows requests without credentials.
func (c Config) anonymous() bool {
	return slices.ContainsFunc(c.Rules, func(r access.Rule) bool {
		return slices.Contains(r.Principals, access.Anonymous)
	})
}

// registries returns the configured registries and the embedded one, and the name of the registry that
// imports go to by default; "" means that there is none. hosts are the names of the embedded registry.
func (c Config) registries(hosts []string) (all map[string]dray.Registry, fallback string) {
	all = maps.Clone(c.Dray.Registries)
	if all == nil {
		all = map[string]dray.Registry{}
	}
	fallback = c.Dray.Default
	if len(hosts) == 0 {
		return all, fallback
	}
	embedded, taken := "", false
	for name, r := range all {
		if slices.Contains(hosts, r.Host) {
			embedded = name
		}
		taken = taken || name == wire.EmbeddedName || slices.Contains(r.Aliases, wire.EmbeddedName)
	}
	switch {
	case taken:
	case embedded == "":
		all[wire.EmbeddedName], embedded = dray.Registry{Host: hosts[0]}, wire.EmbeddedName
	default:
		named := all[embedded]
		named.Aliases = append(slices.Clone(named.Aliases), wire.EmbeddedName)
		all[embedded] = named
	}
	return all, cmp.Or(fallback, embedded, hosts[0])
}

// names returns the hosts of the registries by their names and aliases.
func (c Config) names(hosts []string) map[string]string {
	all, _ := c.registries(hosts)
	names := map[string]string{}
	for name, r := range all {
		host, err := ref.Host(r.Host)
		if err != nil {
			continue // dray.New refuses it
		}
		for _, n := range append([]string{name}, r.Aliases...) {
			names[n] = host
		}
	}
	return names
}

// drayConfig returns the dray.Config of jobs, and the Guard of their connections. addr is that of the server, or nil.
func (c Config) drayConfig(a *access.Access, hosts []string, addr net.Addr) (dray.Config, *egress.Guard) {
	d := c.Dray
	d.Registries, d.Default = c.registries(hosts)
	d.Missing = "" // the file of the server's machine would puzzle the users of other machines
	guard := &egress.Guard{Allow: c.Egress, Self: addr, Log: c.Log}
	for _, r := range c.Dray.Registries {
		guard.Hosts = append(guard.Hosts, r.Host)
		guard.Hosts = append(guard.Hosts, r.Mirrors...)
		guard.Hosts = append(guard.Hosts, r.TokenHosts...)
	}
	if c.Storage.Redirect { // registries of servers with this storage lead there
		guard.Hosts = append(guard.Hosts, c.Storage.Hosts()...)
	}
	guard.Hosts = append(guard.Hosts, egress.Proxies(c.Env)...)
	d.Dial = guard.Dial
	d.StateDir = filepath.Join(c.Data, uploadsDir)
	// Logins stored at the server take precedence over those of this machine.
	d.Logins = append(credential.Chain{a.Lookup}, d.Logins...)
	return d, guard
}

func configFault(name, hint string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "configure server", Name: name, Hint: hint, Err: err}
}

var (
	errOpen = errors.New("the address is not loopback and no user is configured: " +
		"anybody on the network could write here")
	errPlain = errors.New("the address is not loopback and TLS is off: passwords would be sent unencrypted")
)

// users says whether anybody can log in: whether a user, a client CA or a token exists.
type users string

const (
	noUsers      users = "none"
	someUsers    users = "some"
	unknownUsers users = "unknown" // the database has not been read yet
)

// mayListen refuses an address beyond loopback if anybody could write there, or if passwords would go
// over the network without encryption.
func (c Config) mayListen(have users) error {
	if isLoopback(c.Listen) {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return configFault(c.Listen, "use HOST:PORT, such as "+wire.DefaultListen, errors.New("not HOST:PORT"))
	}
	if c.TLS.Cert == "" && c.Plain != AllowPlain {
		return configFault(c.Listen, "configure a certificate and its key, or listen on "+wire.DefaultListen, errPlain)
	}
	if have == noUsers {
		hint := "create a token first, or configure an htpasswd file or a client CA: " + shell.Dray(c.tokenCommand()...)
		return configFault(c.Listen, hint, errOpen)
	}
	return nil
}

// tokenCommand returns the arguments with which dray creates a token of an admin for this server. The
// address of another database than that of the directory is left out, since it may hold a password.
func (c Config) tokenCommand() []string {
	args := []string{"serve", "token", "create", "admin", "--role", "admin"}
	if c.Database != "sqlite:"+filepath.Join(c.Data, databaseFile) {
		return args
	}
	return append(args, "--data", c.Data)
}

// filePath returns the path of a database that is a file.
func filePath(database string) (string, bool) { return strings.CutPrefix(database, "sqlite:") }

func isFile(database string) bool {
	_, ok := filePath(database)
	return ok
}
