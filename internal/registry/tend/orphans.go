package tend

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/drayage/dray/internal/registry/backing"
)

const content = "/docker/registry/v2" // everything that distribution writes

// Orphans lists the objects that a bucket keeps in parts, that were begun before age ago, and that belong to no
// unfinished upload: a process was killed before it had written the upload's first file or after it had removed them,
// or while it copied a finished upload to its place. Whoever continues an upload does so by its files, so nobody can
// continue these.
func Orphans(ctx context.Context, driver *backing.Driver, age time.Duration) ([]backing.Pending, error) {
	all, err := driver.Pending(ctx, content)
	if err != nil {
		return nil, err
	}
	var orphans []backing.Pending
	for _, p := range all {
		if time.Since(p.Begun) < age {
			continue
		}
		if before, rest, ok := strings.Cut(p.Path, "/_uploads/"); ok {
			id, _, _ := strings.Cut(rest, "/")
			_, err := driver.Stat(ctx, path.Join(before, "_uploads", id))
			switch {
			case err == nil:
				continue // Uploads has it, and knows when its last byte came
			case !Missing(err):
				return nil, err
			}
		}
		orphans = append(orphans, p)
	}
	return orphans, nil
}
