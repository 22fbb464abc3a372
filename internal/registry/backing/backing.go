package backing

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

// Open opens the storage. dir is the directory of the registry; content that is stored there is below
// dir/storage. The error is Invalid if this program lacks the driver or the driver refuses its
// parameters. Open does not connect to a bucket.
func (s Storage) Open(ctx context.Context, dir string) (*Driver, error) {
	shareDrivers()
	if s.Local() {
		if len(s.Parameters) > 0 {
			names := strings.Join(slices.Sorted(maps.Keys(s.Parameters)), ", ")
			return nil, opening(dir, "leave out the parameters: content in a directory needs none",
				fmt.Errorf("the filesystem driver has no parameters %s", names))
		}
		root := filepath.Join(dir, contentDir)
		in := filesystem.New(filesystem.DriverParameters{RootDirectory: root, MaxThreads: maxThreads})
		return &Driver{StorageDriver: in, dir: dir, least: s.Free}, nil
	}
	p := filled(s.Parameters)
	if p["useragent"] == nil {
		p["useragent"] = "dray"
	}
	// Drivers keep the context and use it later, such as for new tokens.
	driver, err := factory.Create(context.WithoutCancel(ctx), s.Driver, p)
	var unknown factory.InvalidStorageDriverError
	switch {
	case errors.As(err, &unknown):
		return nil, opening(dir, "build dray with -tags "+s.Driver+", or use the driver filesystem",
			fmt.Errorf("this program has no storage driver %q", s.Driver))
	case err != nil:
		return nil, opening(dir, "see distribution's documentation of the driver's parameters",
			fmt.Errorf("storage %s: %w", s.Driver, err))
	}
	return &Driver{StorageDriver: driver}, nil
}

const maxThreads = 100 // most files that are open at once in a directory

// filled returns the parameters that have a value.
func filled(p map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range p {
		if group, ok := value.(map[string]any); ok {
			value = filled(group)
		}
		if value != "" {
			out[key] = value
		}
	}
	return out
}

func opening(dir, hint string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "open registry", Name: dir, Hint: hint, Err: err}
}

// Given is the driver name with which distribution's handlers receive, in the parameter "driver", a driver
// that Open has opened.
const Given = "given"

// shareDrivers registers the driver Given, so that the handlers and the registry use the same driver.
// distribution opens drivers only by name, from a table that each process has once.
var shareDrivers = sync.OnceFunc(func() { factory.Register(Given, sharing{}) })

type sharing struct{}

func (sharing) Create(_ context.Context, p map[string]any) (storagedriver.StorageDriver, error) {
	d, ok := p["driver"].(storagedriver.StorageDriver)
	if !ok {
		return nil, errors.New("the parameter driver is missing")
	}
	return d, nil
}
