package outfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Check returns the error for a file that could not be written. It is called before work that may take hours, and
// leaves nothing behind.
func Check(path string) error {
	if isThrough(path) {
		return checkThrough(path)
	}
	f, err := Create(path)
	if err != nil {
		return err
	}
	return f.Discard()
}

// Replace writes a whole file with this mode. If it fails, the old file stays as it was.
func Replace(path string, data []byte, mode fs.FileMode) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Discard())
	}
	return f.Keep(mode)
}

// Remove removes a regular file. It empties a regular file behind a link, and changes nothing that is no file. It is no
// error if there is nothing.
func Remove(path string) error {
	if isThrough(path) {
		return writeThrough(path, nil)
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// File is a file while it is written. Until Keep, nobody sees it.
type File struct {
	*os.File // a temporary file
	path     string
}

// Create begins to write the file at path.
func Create(path string) (*File, error) {
	dir := filepath.Dir(path)
	if isThrough(path) {
		dir = "" // there may be no room for another file beside a device
	}
	if !isThrough(path) {
		sweep(dir, filepath.Base(path))
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*"+tempSuffix)
	if err != nil {
		return nil, err
	}
	return &File{f, path}, nil
}

const (
	tempSuffix = ".dray-tmp"
	staleAfter = 24 * time.Hour // whoever writes a temporary file this old was killed
)

// sweep removes the temporary files of processes that were killed while they wrote the file base in dir. One that
// cannot be removed stays until the next time.
func sweep(dir, base string) {
	all, _ := os.ReadDir(dir) // whoever cannot list it cannot write in it, either, or has nothing to sweep
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), "."+base+".") || !strings.HasSuffix(e.Name(), tempSuffix) || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Keep gives the file its name. If it fails, the old file stays as it was.
func (f *File) Keep(mode fs.FileMode) error {
	if isThrough(f.path) {
		data, err := os.ReadFile(f.Name())
		if err == nil {
			err = writeThrough(f.path, data)
		}
		return errors.Join(err, f.Discard())
	}
	err := errors.Join(f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error stands for it
	}
	return err
}

// Discard removes what was written. The old file stays as it was.
func (f *File) Discard() error {
	_ = f.Close() // it may be closed
	return os.Remove(f.Name())
}
