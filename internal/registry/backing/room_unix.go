//go:build !windows

package backing

import (
	"errors"
	"syscall"
)

// roomOf asks the file system of dir.
func roomOf(dir string) (Room, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return Room{}, false
	}
	block := int64(s.Bsize)
	return Room{Free: int64(s.Bavail) * block, Total: int64(s.Blocks) * block}, s.Blocks > 0
}

// isFull reports whether err says that no byte fits on the disk.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }
