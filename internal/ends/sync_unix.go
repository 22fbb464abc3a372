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
