package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory" // registers itself

	"github.com/drayage/dray/fault"
)

// Storage selects where the content is stored. A storage other than a directory has no lock.
// Several processes may read and write one bucket at the same time, because content is named by
// its digest, and a tag is one object, of which the last write wins. But only one process at a
// time may call Collect or delete content there, and an upload over HTTP can only continue at the
// process that began it. Nothing enforces these two rules.
type Storage struct {
	// Driver is "filesystem" (the default) or "inmemory". "s3", "azure" and "gcs" are available
	// in a program that was built with the tag of that name.
	Driver string
	// Parameters are the parameters of the driver, with distribution's names: bucket, region,
	// rootdirectory, container, accountname and so on.
	Parameters map[string]any
}

const inDirectory = "filesystem"

const maxThreads = 100 // most files that are open at once in a directory

func (s Storage) isLocal() bool { return s.Driver == "" || s.Driver == inDirectory }

// open opens the driver. dir is the directory of the registry.
func (s Storage) open(ctx context.Context, dir string) (storagedriver.StorageDriver, error) {
	shareDrivers()
	if s.isLocal() {
		if len(s.Parameters) > 0 {
			names := strings.Join(slices.Sorted(maps.Keys(s.Parameters)), ", ")
			return nil, failed(dir, fault.Invalid, "leave out the parameters: content in a directory needs none",
				fmt.Errorf("the filesystem driver has no parameters %s", names))
		}
		root := filepath.Join(dir, "storage")
		return filesystem.New(filesystem.DriverParameters{RootDirectory: root, MaxThreads: maxThreads}), nil
	}
	p := maps.Clone(s.Parameters)
	if p == nil {
		p = map[string]any{}
	}
	if p["useragent"] == nil {
		p["useragent"] = "dray"
	}
	driver, err := factory.Create(ctx, s.Driver, p)
	var unknown factory.InvalidStorageDriverError
	switch {
	case errors.As(err, &unknown):
		return nil, failed(dir, fault.Invalid, "build dray with -tags "+s.Driver+", or use the driver filesystem",
			fmt.Errorf("this program has no storage driver %q", s.Driver))
	case err != nil:
		return nil, failed(dir, fault.Invalid, "see distribution's documentation of the driver's parameters",
			fmt.Errorf("storage %s: %w", s.Driver, err))
	}
	return driver, nil
}

// openDriver is the driver name with which distribution's handlers receive a driver that is already
// open.
const openDriver = "given"

// shareDrivers registers the driver "given", so that the handlers and this package use the same
// driver. distribution opens drivers only by name, from a table that each process has once.
var shareDrivers = sync.OnceFunc(func() { factory.Register(openDriver, sharing{}) })

type sharing struct{}

func (sharing) Create(_ context.Context, p map[string]any) (storagedriver.StorageDriver, error) {
	d, ok := p["driver"].(storagedriver.StorageDriver)
	if !ok {
		return nil, errors.New("the parameter driver is missing")
	}
	return d, nil
}
