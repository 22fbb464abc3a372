package tend

import (
	"context"
	"path"

	"github.com/drayage/dray/internal/registry/backing"
)

// DeadTags lists the tags of a repository that lead nowhere: a process was killed, or the disk was full, before their
// link was written. A tag that is being set for the first time may be among them.
func DeadTags(ctx context.Context, driver *backing.Driver, repo string) ([]string, error) {
	all, err := driver.List(ctx, path.Join(Root, repo, "_manifests/tags"))
	if err != nil && !Missing(err) {
		return nil, err
	}
	var dead []string
	for _, dir := range all {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		_, err := driver.Stat(ctx, path.Join(dir, "current/link"))
		switch {
		case Missing(err):
			dead = append(dead, path.Base(dir))
		case err != nil:
			return nil, err
		}
	}
	return dead, nil
}
