//go:build !windows

package backing

import (
	"errors"
	"syscall"
)

// spaceOf asks the file system of dir for its bytes, and for those that are free for this user.
func spaceOf(dir string) (free, total int64, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, false
	}
	block := int64(s.Bsize)
	return int64(s.Bavail) * block, int64(s.Blocks) * block, s.Blocks > 0
}

// isFull reports whether err says that no byte fits on the disk.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }
