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
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory" // makes itself known

	"github.com/drayage/dray/fault"
)

// Storage names what keeps the content. What is not in a directory has no lock:
// several processes may read and write one bucket side by side, since content
// is named by its digest and a tag is one object, the last write of which wins.
// Only one process at a time may Collect or delete there, and an upload over
// HTTP goes on at the process that began it alone; nothing enforces either.
type Storage struct {
	// Driver is "filesystem" (the default), "inmemory", or, in a program built with
	// the tag of that name, "s3", "azure" or "gcs".
	Driver string
	// Parameters are the driver's own, by distribution's names: bucket, region,
	// rootdirectory, container, accountname and so on.
	Parameters map[string]any
}

const inDirectory = "filesystem"

const maxThreads = 100 // files that a directory has in hand at once

func (s Storage) isLocal() bool { return s.Driver == "" || s.Driver == inDirectory }

// open makes the driver. dir is the directory of the registry.
func (s Storage) open(ctx context.Context, dir string) (storagedriver.StorageDriver, error) {
	shareDrivers()
	if s.isLocal() {
		if len(s.Parameters) > 0 {
			return nil, failed(dir, fault.Invalid, "the content is in the directory; leave them out",
				fmt.Errorf("the parameters %s", strings.Join(slices.Sorted(maps.Keys(s.Parameters)), ", ")))
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
		return nil, failed(dir, fault.Invalid, "build dray with -tags "+s.Driver+", or use the filesystem",
			fmt.Errorf("this program has no storage driver %q", s.Driver))
	case err != nil:
		return nil, failed(dir, fault.Invalid, "see distribution's documentation of the driver's parameters", fmt.Errorf("storage %s: %w", s.Driver, err))
	}
	return driver, nil
}

// given is the name under which distribution's handlers are given a driver that is open.
const given = "given"

// shareDrivers lets the handlers and us stand on one driver: distribution makes
// drivers by name alone, from a table that each process has once.
var shareDrivers = sync.OnceFunc(func() { factory.Register(given, sharing{}) })

type sharing struct{}

func (sharing) Create(_ context.Context, p map[string]any) (storagedriver.StorageDriver, error) {
	d, ok := p["driver"].(storagedriver.StorageDriver)
	if !ok {
		return nil, errors.New("no driver was given")
	}
	return d, nil
}
