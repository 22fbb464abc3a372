package server

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/server/azure"
	"github.com/drayage/dray/cmd/internal/server/budget"
	"github.com/drayage/dray/cmd/internal/server/guest"
	"github.com/drayage/dray/cmd/internal/server/measure"
	"github.com/drayage/dray/cmd/internal/server/own"
	"github.com/drayage/dray/cmd/internal/server/shared"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ours"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/ref"
)

// closeTime is the part of Config.Grace that jobs do not get: the process needs it to close.
const closeTime = time.Second

// parts holds everything that a process has open. close closes it in the right order.
type parts struct {
	config  Config
	waits   atomic.Value // a string: what open waits for, for people
	hosts   []string     // the names of the embedded registry, see Config.hosts; empty in a worker
	own     string       // the pool of the embedded registry, see Config.ownPool
	db      *store.DB
	vault   *access.Vault
	access  *access.Access
	queue   *job.Queue
	reg     *registry.Registry // nil in a worker
	dray    *dray.Dray
	service *verb.Service
	metrics *measure.Metrics
	memory  *memory.Budget
	budgets budget.Budgets
	traces  *measure.Traces
	guard   *shared.Guard // nil unless other servers may have the same content
	relays  *azure.Client // to the registries that have names of this server
}

// open opens everything in the order in which the parts need each other. addr is the address that the embedded registry
// is served on; nil means a worker, which has no registry. The caller must call close, also after an error.
func (p *parts) open(ctx context.Context, addr net.Addr) (err error) {
	c := p.config
	if err := ours.Make(c.Data); err != nil {
		return own.Unusable(c.Data, err)
	}
	if addr != nil {
		p.hosts = c.hosts(addr)
		// The registry locks the directory. It is opened first, so that a process that does not get
		// the lock has changed nothing.
		if err := p.openRegistry(ctx); err != nil {
			return err
		}
		if p.own, err = c.ownPool(); err != nil {
			return err
		}
	}
	upgraded := func() {}
	if err := p.openAccess(ctx, func(ctx context.Context, url string) (db *store.DB, err error) {
		if db, err = p.openDatabase(ctx, url); err == nil {
			upgraded = p.upgrading(ctx, db)
		}
		return db, err
	}); err != nil {
		return err
	}
	if p.reg != nil && !c.localContent() && p.db.Postgres() {
		p.guard = shared.Open(p.db, c.Storage.ID(), c.Log)
	}
	if p.traces, err = measure.NewTraces(ctx, c.Env, c.Version); err != nil {
		return err
	}
	if err := p.openQueue(ctx, addr); err != nil {
		return err
	}
	upgraded()
	p.metrics, p.memory = measure.NewMetrics(p.queue, p.db), memory.New(memory.Options{Process: debug.SetMemoryLimit(-1)})
	p.metrics.Memory(p.memory)
	p.metrics.Storage(p.reg)
	d, guard := c.drayConfig(p.access, p.hosts, addr)
	d.Requests, d.Limits.Files = p.metrics.Request, guest.Files(c.Files).Jobs()
	in := place.Inside{Local: p.local, Proxied: guard.Proxied, SignIn: c.signIn(p.hosts)}
	if p.db.Postgres() { // only then do other processes share the limits
		in.Draw = p.budgets.Draw
	}
	if p.relays, err = azure.NewClient(d, in); err != nil {
		return err
	}
	if p.dray, err = dray.NewWith(d, in); err != nil {
		return err
	}
	p.budgets.Serve(p.queue, p.dray, p.metrics)
	p.service = verb.New(verb.Config{
		Dray:    p.dray,
		Gates:   c.Gates,
		Queue:   p.queue,
		Access:  p.access,
		DB:      p.db,
		Tool:    "dray " + c.Version,
		Place:   c.placement(p.hosts, p.own),
		Observe: p.metrics.Observe,
		Memory:  p.memory,
	})
	return nil
}

// openQueue opens the jobs of a server, or of a worker if addr is nil.
func (p *parts) openQueue(ctx context.Context, addr net.Addr) error {
	c := p.config
	kind := "server"
	if addr == nil {
		kind = "worker"
	}
	var err error
	p.queue, err = job.Open(ctx, job.Config{
		Log:        c.Log,
		DB:         p.db,
		Engine:     c.engine(c.serves(p.own)),
		Owner:      hostname(),
		Kind:       kind,
		Version:    c.Version,
		Pools:      c.serves(p.own),
		Seal:       p.vault,
		Grace:      max(c.Grace-closeTime, 0),
		Keep:       c.Keep,
		KeepMost:   c.KeepMost,
		QueuedMost: c.PerPrincipal.QueuedJobs,
		// The schedules of the configuration have one principal.
		SchedulesMost: max(cmp.Or(c.PerPrincipal.Schedules, job.SchedulesMost), len(c.Schedules)),
		// No job runs before there are metrics.
		Ended: func(j job.Job, state job.State, took time.Duration) { p.metrics.JobEnded(j, state, took) },
	})
	return err
}

// openDatabase opens the database. If several processes share it, it waits until the database answers.
func (p *parts) openDatabase(ctx context.Context, url string) (*store.DB, error) {
	if p.config.Engine == "" {
		return store.Open(ctx, url)
	}
	p.waits.Store("database: waiting until it answers")
	return store.OpenWaiting(ctx, url, p.config.Log)
}

// upgrading says that the tables of the database are upgraded, which takes long if there are many jobs. The caller
// must call done when that has ended.
func (p *parts) upgrading(ctx context.Context, db *store.DB) (done func()) {
	p.waits.Store("process: starting")
	behind, err := older(ctx, db, p.vault)
	if err != nil || behind == "" { // the error is that of opening the parts
		return func() {}
	}
	p.waits.Store("database: upgrading its tables")
	log := p.config.Log.With(slog.String("database", db.URL()), slog.String("tables", behind))
	log.LogAttrs(ctx, slog.LevelWarn, "upgrading the tables of the database; it may take minutes")
	began := time.Now()
	return func() {
		p.waits.Store("process: starting")
		log.LogAttrs(ctx, slog.LevelWarn, "upgraded the tables of the database", slog.Duration("took", time.Since(began)))
	}
}

// older says which tables of the database a start upgrades, with their versions; "" if none. The error is that with
// which a start would refuse the database.
func older(ctx context.Context, db *store.DB, vault *access.Vault) (string, error) {
	tokens, err := access.Fits(ctx, db, vault)
	if err != nil {
		return "", err
	}
	jobs, err := job.Fits(ctx, db)
	if tokens != "" && jobs != "" {
		tokens += ", "
	}
	return tokens + jobs, err
}

// openRegistry opens the embedded registry. Content in an object store is shared with other servers: all sign
// uploads with the same secret, and ask before they change something.
func (p *parts) openRegistry(ctx context.Context) (err error) {
	c := p.config
	o := registry.Options{Dir: c.Data, Log: c.Log, Storage: c.Storage, Unfinished: c.PerPrincipal.Unfinished}
	if !c.localContent() {
		if p.vault, err = access.OpenVault(ctx, c.Key); err != nil {
			return err
		}
		o.Secret, o.Writes = p.vault.UploadSecret(), p.mayWrite
	}
	p.reg, err = registry.Open(ctx, o)
	return err
}

// mayWrite waits while the content of the registry is collected by another process.
func (p *parts) mayWrite(ctx context.Context) (done func(), err error) {
	if p.guard == nil {
		return func() {}, nil
	}
	return p.guard.Write(ctx)
}

// openAccess opens the key, the database and the access control. This is all that is needed to create tokens.
func (p *parts) openAccess(ctx context.Context, open func(context.Context, string) (*store.DB, error)) error {
	c := p.config
	var err error
	if p.vault == nil {
		if p.vault, err = access.OpenVault(ctx, c.Key); err != nil {
			return err
		}
	}
	if p.db, err = open(ctx, c.Database); err != nil {
		return err
	}
	p.access, err = access.Open(ctx, access.Config{
		DB:       p.db,
		Vault:    p.vault,
		Htpasswd: c.Htpasswd,
		ClientCA: c.TLS.ClientCA,
		Roles:    c.Roles,
		Rules:    c.Rules,
		Own:      c.own(p.hosts),
		Hosts:    c.names(p.hosts),
		Loopback: isLoopback(c.Listen) && !c.behindProxy(),
		Marker:   filepath.Join(c.Data, "has-tokens"),
	})
	if err == nil && p.access.Lost() {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "the database has lost its tokens; requests from this machine still need a login",
			slog.String("next", "restore the database, or create a token: "+
				shell.Dray("serve", "token", "create", "admin", "--role", "admin")))
	}
	return err
}

// waiting returns what open waits for, for people.
func (p *parts) waiting() string {
	if text, ok := p.waits.Load().(string); ok {
		return text
	}
	return "process: starting"
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "dray"
	}
	return name
}

// close closes everything that is open. The parts that use the database close before it.
func (p *parts) close() error {
	var errs []error
	if p.dray != nil {
		p.dray.Close()
	}
	if p.relays != nil {
		p.relays.Close()
	}
	if p.reg != nil {
		errs = append(errs, p.reg.Close())
	}
	if p.traces != nil {
		p.traces.Close()
	}
	if p.queue != nil {
		errs = append(errs, p.queue.Close())
	}
	if p.guard != nil {
		p.guard.Close()
	}
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	return errors.Join(errs...)
}

// local returns the embedded registry for jobs, which then use it without HTTP. It returns false for
// a host that is not the embedded registry.
func (p *parts) local(host string) (place.Local, bool) {
	if p.reg == nil || !slices.Contains(p.hosts, host) {
		return nil, false
	}
	return embedded{p.reg}, true
}

// embedded adapts the registry to place.Local.
type embedded struct{ *registry.Registry }

func (e embedded) Open(repo ref.Repo) (place.LocalRepository, error) { return e.Store(repo) }

// mayListen refuses to listen beyond loopback if no user, no client CA and no valid token exists.
func (p *parts) mayListen(ctx context.Context) error {
	if p.config.Htpasswd != "" || p.config.TLS.ClientCA != "" || isLoopback(p.config.Listen) {
		return p.config.mayListen(someUsers)
	}
	tokens, err := p.access.Tokens(ctx)
	if err != nil {
		return err
	}
	valid := func(t access.Token) bool { return t.Revoked.IsZero() && t.Expires.After(time.Now()) }
	have := noUsers
	if slices.ContainsFunc(tokens, valid) {
		have = someUsers
	}
	return p.config.mayListen(have)
}

// OpenAccess opens the access control of a server's data, for commands that an operator runs on the server's machine.
// It creates nothing: if a database file or the key is missing, the error is NotFound or Invalid. If the database is a
// file and a server is running, the error is Conflict. The caller must call done when it is finished.
func OpenAccess(ctx context.Context, c Config) (a *access.Access, done func() error, err error) {
	if c, err = c.filled(); err != nil {
		return nil, nil, err
	}
	if path, ok := filePath(c.Database); ok {
		if err := c.someOf(path); err != nil {
			return nil, nil, err
		}
	}
	c.Key.Missing = access.RefuseKey
	return c.openAccess(ctx)
}

// BeginAccess is OpenAccess for commands that prepare a server before its first start: it creates what is missing.
func BeginAccess(ctx context.Context, c Config) (a *access.Access, done func() error, err error) {
	if c, err = c.filled(); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, nil, own.Unusable(c.Data, err)
	}
	return c.openAccess(ctx)
}

func (c Config) openAccess(ctx context.Context) (*access.Access, func() error, error) {
	if err := c.ownData(); err != nil {
		return nil, nil, err
	}
	p := &parts{config: c}
	if err := p.openAccess(ctx, store.Open); err != nil {
		if errors.Is(err, store.ErrHeld) {
			err = &fault.Fault{Kind: fault.Conflict, Err: err,
				Hint: "a server is using it: give --server URL and the token of an admin"}
		}
		return nil, nil, errors.Join(err, p.close())
	}
	return p.access, p.close, nil
}

// Collect removes content that no image of the registry needs; see registry.Collect. It creates no directory: the
// error is NotFound if c.Data has neither a database nor content.
//
// If the content is in an object store and the database is PostgreSQL, the servers of that database pause changes of
// the content meanwhile, and continue to serve pulls. The error is Conflict if another process collects there, or if
// a server has changes in progress that do not end within five minutes. With a SQLite database, the error is Conflict
// while a server runs.
func Collect(ctx context.Context, c Config, o registry.CollectOptions) (registry.Collected, error) {
	c, err := c.filled()
	if err != nil {
		return registry.Collected{}, err
	}
	if err := c.hasData(); err != nil {
		return registry.Collected{}, err
	}
	o.Storage, o.Log = c.Storage, c.Log
	if c.localContent() || o.DryRun {
		return registry.Collect(ctx, c.Data, o)
	}
	db, err := store.Open(ctx, c.Database)
	if errors.Is(err, store.ErrHeld) {
		err = &fault.Fault{Kind: fault.Conflict, Err: err, Hint: "a server is using it: stop it first"}
	}
	if err != nil {
		return registry.Collected{}, err
	}
	defer func() { _ = db.Close() }() // nothing was written to it
	if db.Postgres() {
		alone, release, err := shared.Alone(ctx, db, c.Storage.ID(), collectWait)
		if err != nil {
			return registry.Collected{}, err
		}
		defer release()
		ctx = alone
	}
	return registry.Collect(ctx, c.Data, o)
}

// collectWait is how long Collect waits for servers to end what they change.
const collectWait = 5 * time.Minute

// hasData returns NotFound if no server has used c.Data and it has no content. It cannot tell if the database
// and the content are elsewhere.
func (c Config) hasData() error {
	path, isFile := filePath(c.Database)
	switch err := c.ownData(); {
	case err != nil:
		return err
	case !c.localContent() && isFile:
		return c.someOf(path)
	case !c.localContent():
		return nil
	case isFile:
		return c.someOf(path, filepath.Join(c.Data, storageDir))
	}
	return c.someOf(filepath.Join(c.Data, keyFile), filepath.Join(c.Data, storageDir))
}

// ownData returns an error if the data directory is there and others own it or may write it.
func (c Config) ownData() error {
	if err := ours.Check(c.Data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return own.Unusable(c.Data, err)
	}
	return nil
}

// localContent reports whether the content of the registry is in c.Data.
func (c Config) localContent() bool {
	return c.Storage.Local()
}

// someOf returns NotFound if none of paths exists.
func (c Config) someOf(paths ...string) error {
	for _, path := range paths {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil // what opens it says what else is wrong
		}
	}
	return &fault.Fault{
		Kind: fault.NotFound,
		Op:   "open data of server",
		Name: c.Data,
		Hint: "correct --data, --database or the section server: of the configuration; serve itself makes new data",
		Err:  errors.New("no data of a dray server is there"),
	}
}
