package ours

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/gofrs/flock"
)

var errReplaced = errors.New("the file was replaced while it was opened")

// Dir is an open directory of the user's own. What happens to its path later does not change what it is.
type Dir struct {
	root  *os.Root
	path  string
	share sharing // of the files in it
}

// Open opens the directory at path. It returns [fs.ErrNotExist] if there is none, and [fault.Denied] if somebody else
// owns it or may write it.
func Open(path string) (*Dir, error) {
	whole, err := Resolve(path)
	if err != nil {
		return nil, err
	}
	before, err := os.Lstat(whole)
	if err != nil {
		return nil, err
	}
	share := sharingOf(before)
	if err := checkDir(path, before, share); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(whole)
	if err != nil {
		return nil, err
	}
	return opened(root, path, before, share)
}

// Create is Open, and creates the directory if it is missing, with its parents, for the user alone.
func Create(path string) (*Dir, error) {
	d, err := Open(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	return Open(path)
}

// opened returns the Dir of root if it is what was looked at before.
func opened(root *os.Root, path string, before fs.FileInfo, s sharing) (*Dir, error) {
	info, err := root.Stat(".")
	if err == nil {
		err = checkDir(path, info, s)
	}
	if err == nil && !os.SameFile(before, info) {
		err = refused(path, "somebody replaces it again and again", "")
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &Dir{root, path, s}, nil
}

// Sub opens the directory name in d, which is no link.
func (d *Dir) Sub(name string) (*Dir, error) {
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(d.path, name)
	if err := checkDir(path, before, d.share); err != nil {
		return nil, err
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return opened(root, path, before, d.share)
}

// CreateSub is Sub, and creates the directory if it is missing.
func (d *Dir) CreateSub(name string) (*Dir, error) {
	if err := d.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return d.Sub(name)
}

// IsShared reports whether a group of the process shares d on purpose, as a volume of Kubernetes.
func (d *Dir) IsShared() bool { return d.share == group }

// Close closes d. Files that were opened in it stay open.
func (d *Dir) Close() error { return d.root.Close() }

// Read opens the file name for reading. A file that somebody else owns or may write, or that is none, such as a link or
// a pipe, is [fault.Denied].
func (d *Dir) Read(name string) (*os.File, error) { return d.open(name, os.O_RDONLY) }

// Write opens the file name for reading and writing, and creates it if it is missing. It refuses what Read refuses, and
// a file that has a second name.
func (d *Dir) Write(name string) (*os.File, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return d.open(name, os.O_RDWR)
	}
	return f, err
}

func (d *Dir) open(name string, flag int) (*os.File, error) {
	check := func(info fs.FileInfo) error {
		path := filepath.Join(d.path, name)
		if err := checkFile(path, info, d.share); err != nil || flag == os.O_RDONLY {
			return err
		}
		return checkNames(path, info)
	}
	before, err := d.root.Lstat(name)
	if err == nil {
		err = check(before)
	}
	if err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, flag, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = check(info)
	}
	if err == nil && !os.SameFile(before, info) {
		err = errReplaced
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Replace writes the file name as a whole. Whatever had the name is not touched, but loses it.
func (d *Dir) Replace(name string, raw []byte) error {
	temp, err := d.temp("new-", raw, func(*os.File) error { return nil })
	if err != nil {
		return err
	}
	if err := d.root.Rename(temp, name); err != nil {
		return errors.Join(err, d.root.Remove(temp))
	}
	return nil
}

// Temp writes raw to a new file whose name begins with prefix, syncs it, and returns its name.
func (d *Dir) Temp(prefix string, raw []byte) (string, error) {
	return d.temp(prefix, raw, (*os.File).Sync)
}

func (d *Dir) temp(prefix string, raw []byte, finish func(*os.File) error) (string, error) {
	name := prefix + rand.Text()
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = finish(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, d.root.Remove(name))
	}
	return name, nil
}

// Lock locks the file name, which it creates if it is missing. If another process or goroutine holds the lock, both
// results are nil. Whoever holds a lock may remove its file, so a lock counts only if its file still has the name.
func (d *Dir) Lock(name string) (*flock.Flock, error) {
	for range 100 {
		f, err := d.Write(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errReplaced) {
			continue // its owner has just removed it
		}
		if err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		// flock takes a path alone. If it leads elsewhere by now, nothing is written there, and the files differ.
		l := flock.New(filepath.Join(d.root.Name(), name), flock.SetFlag(os.O_RDWR))
		ok, err := l.TryLock()
		if errors.Is(err, fs.ErrNotExist) {
			_ = l.Close()
			continue
		}
		if err != nil || !ok {
			_ = l.Close()
			return nil, err
		}
		if held, err := l.Stat(); err == nil {
			if there, err := d.root.Lstat(name); err == nil && os.SameFile(held, there) {
				return l, nil
			}
		}
		_ = l.Close()
	}
	return nil, fmt.Errorf("the lock file %s is replaced again and again", name)
}

// Lstat, Remove, Rename and Link are those of package os for names in d; they follow no link.

// Lstat returns what name is.
func (d *Dir) Lstat(name string) (fs.FileInfo, error) { return d.root.Lstat(name) }

// Remove removes name itself.
func (d *Dir) Remove(name string) error { return d.root.Remove(name) }

// Rename gives a file another name, and takes that from what had it.
func (d *Dir) Rename(from, to string) error { return d.root.Rename(from, to) }

// Link gives a file a second name, if nothing has it.
func (d *Dir) Link(from, to string) error { return d.root.Link(from, to) }

// List returns the names of all that is in d.
func (d *Dir) List() ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	return names, errors.Join(err, f.Close())
}

// Narrow takes the right to read d from everybody else.
func (d *Dir) Narrow() error { return d.root.Chmod(".", 0o700) }

// Sync makes the names in d durable, on systems that can do that.
func (d *Dir) Sync() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
