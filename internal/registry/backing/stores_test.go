package backing_test

import (
	"os"
	"strings"
	"testing"

	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/internal/testbed/stores"
	"github.com/drayage/dray/ref"
)

var all *stores.Stores //nolint:gochecknoglobals // TestMain ends them

func TestMain(m *testing.M) { os.Exit(stores.Main(m, func(s *stores.Stores) { all = s })) }

// onEach runs f on a bucket of each object store. It skips those that are not installed, and those for which this
// program has no driver.
func onEach(t *testing.T, f func(t *testing.T, s backing.Storage)) {
	t.Helper()
	for driver, open := range map[string]func(testing.TB) stores.Bucket{"s3": all.S3, "azure": all.Azure, "gcs": all.GCS} {
		t.Run(driver, func(t *testing.T) {
			_, err := backing.Storage{Driver: driver}.Open(t.Context(), "")
			if err != nil && strings.Contains(err.Error(), "no storage driver") {
				t.Skipf("SKIPPED: the tests were not built with -tags %s", driver)
			}
			b := open(t)
			f(t, backing.Storage{Driver: b.Driver, Parameters: b.Parameters})
		})
	}
}

func open(t *testing.T, o registry.Options) *registry.Registry {
	t.Helper()
	o.Dir = t.TempDir()
	r, err := registry.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func store(t *testing.T, r *registry.Registry, path string) *registry.Store {
	t.Helper()
	s, err := r.Store(ref.Repo{Host: "here.example", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTryTellsWhetherABucketCanBeUsed(t *testing.T) {
	onEach(t, func(t *testing.T, s backing.Storage) {
		t.Helper()
		if err := s.Try(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestARegistryConformsOnABucket(t *testing.T) {
	onEach(t, func(t *testing.T, s backing.Storage) {
		t.Helper()
		r := open(t, registry.Options{Storage: s})
		n := 0
		conform.Run(t, conform.Suite{Open: func(t *testing.T) conform.Pair {
			t.Helper()
			n++
			of := store(t, r, "team/app"+strings.Repeat("x", n))
			return conform.Pair{Source: of, Target: of, List: of.List}
		}})
	})
}
