package backing

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Parts lists the temporary files of writes that did not end, because their process was killed. Those of writes that go
// on are among them. There are none in a bucket, where an object has its name when it is whole.
func (d *Driver) Parts(ctx context.Context) ([]string, error) {
	if d.dir == "" {
		return nil, nil
	}
	root := os.DirFS(filepath.Join(d.dir, contentDir))
	var all []string
	err := fs.WalkDir(root, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return withoutPath(err)
		case e.Type().IsRegular() && strings.HasSuffix(name, ".tmp"):
			all = append(all, "/"+name)
		}
		return ctx.Err()
	})
	return all, err
}
