package layout

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// Is reports whether the directory is marked as an image layout.
func Is(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, v1.ImageLayoutFile))
	return err == nil && info.Mode().IsRegular()
}

// Below calls visit with the path below root, with slashes, of each directory there that is
// a layout, in order, until visit returns an error, which Below returns. Links are not
// followed, and what is inside a layout is not looked at. A directory that can not be read
// is an error: it is never taken for an empty one.
func Below(ctx context.Context, root string, visit func(path string) error) error {
	const op = "list layouts below"
	name := ref.Layout + root + string(filepath.Separator)
	var stop error
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !d.IsDir() || !Is(path):
			return nil
		case path == root:
			stop = &fault.Fault{Kind: fault.Invalid, Op: op, Name: name, Err: errors.New("it is a layout itself"), Hint: "leave the slash at its end off"}
			return stop
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if stop = visit(filepath.ToSlash(rel)); stop != nil {
			return stop
		}
		return fs.SkipDir
	})
	switch {
	case err == nil || stop != nil:
		return stop
	case ctx.Err() != nil:
		return canceled(ctx, op, name)
	case errors.Is(err, fs.ErrNotExist):
		return &fault.Fault{Kind: fault.NotFound, Op: op, Name: name, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &fault.Fault{Kind: fault.Denied, Op: op, Name: name, Err: err}
	}
	return &fault.Fault{Kind: fault.Unavailable, Op: op, Name: name, Err: err}
}
