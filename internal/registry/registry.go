package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/reference"
	"github.com/gofrs/flock"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/internal/registry/forward"
	"github.com/drayage/dray/internal/registry/home"
	"github.com/drayage/dray/internal/registry/index"
	"github.com/drayage/dray/internal/registry/locks"
	"github.com/drayage/dray/internal/registry/tend"
	"github.com/drayage/dray/internal/registry/turns"
)

const (
	maxCatalog  = 10_000 // most repositories in one response; a larger n is refused with 400
	maxTags     = 1_000  // most tags in one response; a larger n is reduced to this number
	maxManifest = 4 << 20
)

// Options configure a registry. The zero value of each field except Dir is a valid default.
type Options struct {
	// Dir is the directory of the registry. It holds a lock, the secret that signs upload
	// locations and, unless Storage says otherwise, the content and the upload sessions. It is
	// created if it does not exist.
	Dir string
	// Log receives failures of the storage as errors, and mistakes of clients at debug level. nil
	// means that nothing is logged. The distribution code has one logger in each process. If
	// several registries are open, it logs for all of them to the Log of the one that was opened
	// last.
	Log *slog.Logger
	// ReferrersPage is the largest number of referrers in one response. A Link header leads to
	// the rest. 0 means 500.
	ReferrersPage int
	// Storage is where the content is stored. The zero Storage stores it in Dir.
	Storage Storage
	// Secret signs the locations of uploads. Servers that share a Storage need the same secret, because
	// a balancer may send each request of an upload to another server. "" means that a random secret is
	// kept in Dir.
	Secret string
	// Writes is called before each change of the content, and the function that it returns after the
	// change. It may wait. If it returns an error, nothing is changed. nil means that changes are always
	// allowed.
	Writes func(ctx context.Context) (done func(), err error)
	// Unfinished is what each principal of Registry.As may have unfinished at the same time.
	Unfinished Unfinished
}

// Unfinished is tend.Limits.
type Unfinished = tend.Limits

// Storage is backing.Storage.
type Storage = backing.Storage

// Free returns an error if another process serves dir, or if this user may not lock it. It creates
// nothing.
func Free(dir string) error { return home.Free(dir) }

// Registry is an open registry. It is safe for concurrent use.
type Registry struct {
	app   *handlers.App
	index *index.Index
	lock  *flock.Flock
	log   *slog.Logger
	local bool        // the content is in a directory on this machine
	puts  turns.Turns // blobs that are being written to a repository
	names turns.Turns // tags and digests of manifests that are being set or deleted, see nameKey

	locks   locks.Book
	book    *tend.Book         // the unfinished uploads
	stop    context.CancelFunc // ends tend
	short   atomic.Bool        // the log has said that too little space is free
	full    atomic.Int64       // State.RefusedFull
	tooMany atomic.Int64       // State.RefusedUploads

	writes func(ctx context.Context) (done func(), err error) // Options.Writes, never nil

	mu      sync.Mutex // guards closed, and prevents running.Add after running.Wait
	closed  bool
	running sync.WaitGroup
}

// Open opens the registry in o.Dir, or creates one there. Only one process at a time can have a
// directory open. Several processes, each with its own Dir, may share a bucket: see Storage. Upload sessions of an
// earlier process can be resumed, even if that process was killed. Those that got no byte for a day are removed.
//
// Another distribution registry may have stored the content, if its root directory was moved to
// Dir/storage. Open then searches that content for referrers, once. ctx limits only the opening.
//
// The error is Invalid for options that cannot work, and Conflict if another process has Dir
// open. For errors of the file system it is Denied, Full or Unavailable. After an error, nothing
// stays open.
func Open(ctx context.Context, o Options) (_ *Registry, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ReferrersPage == 0 {
		o.ReferrersPage = 500
	}
	if o.Writes == nil {
		o.Writes = func(context.Context) (func(), error) { return func() {}, nil }
	}
	if o.Dir == "" {
		return nil, home.Failed(o.Dir, fault.Invalid, "name a directory for the content of the registry",
			errors.New("no directory is named"))
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, home.Failed(o.Dir, fault.Invalid, "", err)
	}
	lock, err := home.Lock(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if o.Secret == "" {
		if o.Secret, err = home.Secret(dir); err != nil {
			return nil, err
		}
	}
	forward.Quiet()
	driver, err := o.Storage.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	app, err := newApp(ctx, dir, configure(driver, o))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = app.Shutdown()
		}
	}()
	store, err := namespace(ctx, driver)
	if err != nil {
		return nil, home.Failed(dir, fault.Internal, "", err)
	}
	x := &index.Index{Driver: driver, Store: store, Page: o.ReferrersPage}
	if err := index.Once(ctx, dir, o.Storage, x, o.Log); err != nil {
		return nil, err
	}
	forward.To(o.Log)
	r := &Registry{
		app: app, index: x, lock: lock, log: o.Log, local: o.Storage.Local(), writes: o.Writes,
		locks: locks.Book{Driver: driver},
		book:  tend.NewBook(driver, o.Unfinished),
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	k := tend.Keeper{Driver: driver, Book: r.book, Log: o.Log, Lock: r.lockTag}
	r.running.Go(func() { k.Run(work) })
	return r, nil
}

// State is what a registry says about its storage.
type State struct {
	Room  backing.Room
	Stays int64 // bytes that stay free; pushes are refused that would leave less
	Known bool  // whether Room is known: an object store has none

	Uploads     int   // that are unfinished
	UploadBytes int64 // of those

	RefusedFull    int64 // pushes that were refused because of the space or the state of the disk, since the start
	RefusedUploads int64 // pushes that were refused because their principal has too many unfinished uploads
}

// State returns the state of the storage now.
func (r *Registry) State() State {
	s := State{RefusedFull: r.full.Load(), RefusedUploads: r.tooMany.Load()}
	s.Room, s.Known = r.index.Driver.Room()
	s.Stays = r.index.Driver.Least(s.Room)
	s.Uploads, s.UploadBytes = r.book.Total()
	return s
}

// Ping checks that the storage responds.
func (r *Registry) Ping(ctx context.Context) error {
	if !r.enter() {
		return errClosed("ask", "the embedded registry")
	}
	defer r.running.Done()
	if _, err := r.index.Driver.Stat(ctx, "/"); err != nil && !tend.Missing(err) {
		return faultOf(ctx, "ask", "the embedded registry", err)
	}
	return nil
}

// Close waits for the requests in progress and then releases the directory. Stop the HTTP server
// first, because Close does not interrupt requests. Later requests get 503. Closing twice is not
// an error.
func (r *Registry) Close() error {
	r.mu.Lock()
	was := r.closed
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.running.Wait()
	if was {
		return nil
	}
	// Without it, the next process does not know whose uploads are open.
	_ = r.book.Save(context.Background())
	_ = r.app.Shutdown() // fails only if the registry is a proxy
	if err := r.lock.Close(); err != nil {
		return &fault.Fault{Kind: fault.Unavailable, Op: "close registry", Name: r.lock.Path(), Err: err}
	}
	return nil
}

// configure sets every option whose default in distribution would break a copy.
func configure(driver *backing.Driver, o Options) *configuration.Configuration {
	c := &configuration.Configuration{
		Storage: configuration.Storage{
			backing.Given: {"driver": driver},
			"delete":      {"enabled": true},
			"redirect":    {"disable": !o.Storage.Redirect},
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}}, // tend does it
			// No "cache" here, because cached descriptors would still exist after their blobs are
			// deleted.
		},
	}
	// With a new random secret at each start, no open upload session could be resumed.
	c.HTTP.Secret = o.Secret
	// Absolute locations would repeat the Host header as a proxy sends it.
	c.HTTP.RelativeURLs = true
	// 0 would refuse every ?n= of a catalog request, and would not limit the list of tags.
	c.Catalog.MaxEntries = maxCatalog
	c.Tags.MaxTags = maxTags
	// Without this, the response to a manifest with a foreign layer is 500.
	c.Validation.Manifests.URLs.Allow = []string{foreign}
	// A copy of only some platforms keeps the index byte for byte and leaves out children.
	c.Validation.Manifests.Indexes.Platforms = "none"
	return c
}

const foreign = "^https?://" // URLs from which publishers may serve foreign layers

// namespace returns the storage that the handlers also use, with the same rules.
func namespace(ctx context.Context, driver *backing.Driver) (distribution.Namespace, error) {
	urls := storage.ManifestURLsAllowRegexp(regexp.MustCompile(foreign))
	return storage.NewRegistry(ctx, driver, storage.EnableDelete, urls)
}

// newApp creates distribution's handler. distribution panics on an invalid configuration; newApp
// returns that as an error.
func newApp(ctx context.Context, dir string, c *configuration.Configuration) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = home.Failed(dir, fault.Invalid, "", fmt.Errorf("%v", p))
		}
	}()
	return handlers.NewApp(context.WithoutCancel(ctx), c), nil
}

func (r *Registry) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.running.Add(1)
	return true
}

// lockTag keeps others from setting a tag until unlock is called.
func (r *Registry) lockTag(ctx context.Context, repo, tag string) (unlock func(), err error) {
	name, err := reference.WithName(repo)
	if err != nil {
		return nil, err
	}
	key := nameKey(name, tag)
	return func() { r.names.Unlock(key) }, r.names.Lock(ctx, key)
}

// nameKey returns the key in Registry.names of a tag or a digest.
func nameKey(repo reference.Named, of string) string { return repo.Name() + "@" + of }
