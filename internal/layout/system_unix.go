//go:build !windows

package layout

import (
	"errors"
	"os"
	"syscall"
)

// nonblock prevents that opening a pipe waits for the other end of the pipe.
const nonblock = syscall.O_NONBLOCK

// syncDir makes a rename in the directory durable. It ignores that some file systems cannot sync
// a directory.
func syncDir(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
