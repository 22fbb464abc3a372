package registry

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/gofrs/flock"

	"github.com/drayage/dray/fault"
)

const (
	maxCatalog  = 10_000 // repositories in one answer; a larger n is refused with 400
	maxTags     = 1_000  // tags in one answer; a larger n is cut to it
	maxManifest = 4 << 20
)

// Options say where a registry keeps its content.
type Options struct {
	// Dir holds everything: content, upload sessions, the secret that signs
	// upload locations, a lock. It is made when it is not there.
	Dir string
	// Log gets failures of the storage as errors and what clients did wrong at
	// debug level. nil is silent. The distribution code has one logger per
	// process: with several registries open, all of it goes to the Log of the
	// one that was opened last.
	Log *slog.Logger
	// ReferrersPage is the most referrers in one answer; the rest is behind a
	// Link header. 0 is 500.
	ReferrersPage int
	// Storage is where the content is kept; the zero Storage is Dir.
	Storage Storage
}

// Registry is an open registry. It serves any number of requests at once.
type Registry struct {
	app   *handlers.App
	index *index
	lock  *flock.Flock
	log   *slog.Logger
	local bool  // the content is in a directory of this machine
	puts  turns // blobs on their way into a repository

	mu      sync.Mutex // guards closed, and running against Add after Wait
	closed  bool
	running sync.WaitGroup
}

// Open opens the registry in o.Dir, or makes one there. One process at a time
// may hold it. Upload sessions of an earlier process, killed or not, go on;
// those older than a week are removed.
//
// Content put there by another distribution registry (its root directory moved
// to Dir/storage) is searched once for referrers. ctx bounds only the opening.
//
// Errors are of Kind Invalid for options that can not work, Conflict when
// another process holds Dir, and Denied, Full or Unavailable by what the file
// system says. After an error nothing stays open.
func Open(ctx context.Context, o Options) (_ *Registry, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ReferrersPage == 0 {
		o.ReferrersPage = 500
	}
	if o.Dir == "" {
		return nil, failed(o.Dir, fault.Invalid, "name a directory for its content", fmt.Errorf("no directory"))
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, failed(o.Dir, fault.Invalid, "", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	secret, err := secretIn(dir)
	if err != nil {
		return nil, err
	}
	quiet()
	driver, err := o.Storage.open(ctx, dir)
	if err != nil {
		return nil, err
	}
	app, err := newApp(ctx, dir, configure(driver, secret))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			app.Shutdown()
		}
	}()
	store, err := namespace(ctx, driver)
	if err != nil {
		return nil, failed(dir, fault.Internal, "", err)
	}
	x := &index{driver: driver, store: store, page: o.ReferrersPage}
	if err := indexOnce(ctx, dir, x, o.Log); err != nil {
		return nil, err
	}
	forward(o.Log)
	return &Registry{app: app, index: x, lock: lock, log: o.Log, local: o.Storage.isLocal()}, nil
}

// Ping asks the storage whether it answers.
func (r *Registry) Ping(ctx context.Context) error {
	if !r.enter() {
		return errClosed("ask", "the embedded registry")
	}
	defer r.running.Done()
	if _, err := r.index.driver.Stat(ctx, "/"); err != nil && !missing(err) {
		return faultOf(ctx, "ask", "the embedded registry", err)
	}
	return nil
}

// Close waits for the requests that run, then releases the directory. Stop the
// server in front first: it is what cuts requests. Later requests get 503.
// Closing twice is no error.
func (r *Registry) Close() error {
	r.mu.Lock()
	was := r.closed
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
	if was {
		return nil
	}
	r.app.Shutdown()
	if err := r.lock.Close(); err != nil {
		return &fault.Fault{Kind: fault.Unavailable, Op: "close registry", Name: r.lock.Path(), Err: err}
	}
	return nil
}

// configure says all that distribution would otherwise default to something a
// copy trips over.
func configure(driver storagedriver.StorageDriver, secret string) *configuration.Configuration {
	c := &configuration.Configuration{
		Storage: configuration.Storage{
			given:    {"driver": driver},
			"delete": {"enabled": true},
			// Clients of a registry at home can not always reach the storage behind it.
			"redirect": {"disable": true},
			// No "cache": remembered descriptors would outlive deleted blobs.
		},
	}
	// A random secret per start would orphan every open upload session.
	c.HTTP.Secret = secret
	// Absolute locations would repeat whatever Host a proxy sends.
	c.HTTP.RelativeURLs = true
	// 0 would refuse every ?n= of a catalog, and let a tag list grow without end.
	c.Catalog.MaxEntries = maxCatalog
	c.Tags.MaxTags = maxTags
	// Without this a manifest with a foreign layer is answered 500.
	c.Validation.Manifests.URLs.Allow = []string{foreign}
	// Copies of some platforms keep the index, byte for byte, and leave children out.
	c.Validation.Manifests.Indexes.Platforms = "none"
	return c
}

const foreign = "^https?://" // where layers may be that their publisher keeps

// namespace is what the handlers stand on, with the same rules.
func namespace(ctx context.Context, driver storagedriver.StorageDriver) (distribution.Namespace, error) {
	return storage.NewRegistry(ctx, driver, storage.EnableDelete, storage.ManifestURLsAllowRegexp(regexp.MustCompile(foreign)))
}

// newApp turns the panics with which distribution answers a bad configuration
// into faults.
func newApp(ctx context.Context, dir string, c *configuration.Configuration) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = failed(dir, fault.Invalid, "", fmt.Errorf("%v", p))
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
