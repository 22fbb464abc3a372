//go:build !windows

package ends

import (
	"errors"
	"os"
	"syscall"
)

// syncDirectory makes renames in a directory durable. Some file systems cannot do that.
func syncDirectory(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

// resemble gives f the permissions of the file that it replaces and, as root, its owner.
func resemble(f *os.File, before os.FileInfo) error {
	if stat, ok := before.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(before.Mode().Perm())
}

// mayWrite returns the error of writing in a directory, as far as its permissions and its file system say.
func mayWrite(dir string) error {
	const write, search = 2, 1
	if err := syscall.Access(dir, write|search); err != nil {
		return &os.PathError{Op: "write", Path: dir, Err: err}
	}
	return nil
}
