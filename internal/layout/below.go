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

// Is reports whether dir is marked as an image layout by its oci-layout file.
func Is(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, v1.ImageLayoutFile))
	return err == nil && info.Mode().IsRegular()
}

// Below calls visit for each directory below root that is a layout, in order. root is none. The path is
// relative to root and has slashes. If visit returns an error, Below stops and returns that
// error. Below does not follow links and does not look inside a layout. A directory that cannot
// be read is an error; it never counts as empty.
func Below(ctx context.Context, root string, visit func(path string) error) error {
	const op = "list layouts below"
	name := ref.Layout + filepath.Clean(root) + string(filepath.Separator)
	var stop error
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !d.IsDir() || !Is(path):
			return nil
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
		return &fault.Fault{Kind: fault.NotFound, Op: op, Name: name, Err: errors.New("there is no such directory"),
			Hint: "check the path"}
	case errors.Is(err, fs.ErrPermission):
		return &fault.Fault{Kind: fault.Denied, Op: op, Name: name, Err: err}
	}
	return &fault.Fault{Kind: fault.Unavailable, Op: op, Name: name, Err: err}
}

// Apart reports whether dir is a directory of layouts, and not one layout or a place for one. It is an error if dir
// can be none of these.
func Apart(ctx context.Context, dir string) (apart bool, err error) {
	if Is(dir) {
		return false, nil
	}
	err = Below(ctx, dir, func(string) error {
		apart = true
		return fs.SkipAll
	})
	if apart || fault.Is(err, fault.NotFound) {
		return apart, nil
	}
	if err != nil {
		return false, err
	}
	if !IsVacant(dir) {
		return false, fault.Misuse("open layout", ref.Layout+dir,
			"the directory is not empty and holds no image layout", "name a new or an empty directory, or an image layout")
	}
	return false, nil
}

// Nested returns an error if one of the layouts in dirs is or would be inside another layout, since the files of the
// two could not be told apart.
func Nested(dirs []string) error {
	taken := map[string]bool{}
	for _, dir := range dirs {
		taken[dir] = true
	}
	for own := range taken {
		for dir := own; dir != filepath.Dir(dir); {
			dir = filepath.Dir(dir)
			if taken[dir] || Is(dir) {
				return fault.Misuse("make layout", ref.Layout+own, "it would be inside another layout, "+ref.Layout+dir,
					"choose another directory, or another path with --flatten or --rewrite")
			}
		}
	}
	return nil
}
