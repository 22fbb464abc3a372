package tend

import (
	"context"
	"errors"
	"path"
	"strings"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/drayage/dray/internal/registry/backing"
)

// Root is the directory of the repositories (distribution v3.1.2 registry/storage/paths.go).
const Root = "/docker/registry/v2/repositories"

// Repositories lists the repositories in the order of the storage, also those that have uploads or blobs but no
// manifest. distribution does not list those.
func Repositories(ctx context.Context, driver *backing.Driver) ([]string, error) {
	var all []string
	seen := map[string]bool{}
	err := driver.Walk(ctx, Root, func(info storagedriver.FileInfo) error {
		dir, base := path.Split(info.Path())
		if !strings.HasPrefix(base, "_") || !info.IsDir() {
			return ctx.Err()
		}
		name := strings.Trim(strings.TrimPrefix(dir, Root), "/")
		if name != "" && !seen[name] {
			seen[name] = true
			all = append(all, name)
		}
		return storagedriver.ErrSkipDir
	})
	if err != nil && !Missing(err) {
		return nil, err
	}
	return all, nil
}

// Missing reports whether err says that a file or a directory of the storage does not exist.
func Missing(err error) bool {
	_, ok := errors.AsType[storagedriver.PathNotFoundError](err)
	return ok
}
