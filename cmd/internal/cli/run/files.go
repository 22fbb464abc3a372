package run

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace replaces the file at path by one with data. If it fails, the old file stays as it was. Without
// data there is no file afterwards. If path is not a regular file but, for example, a pipe, data is
// written to it.
func Replace(path string, data []byte) error {
	if at, err := os.Stat(path); err == nil && !at.Mode().IsRegular() {
		return os.WriteFile(path, data, 0)
	}
	if len(data) == 0 {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	f, err := besides(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// besides creates a temporary file in the directory of path, so that a rename can move it to path.
func besides(path string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
}
