//go:build !windows

package backing

import (
	"errors"
	"math"
	"syscall"
)

// spaceOf asks the file system of dir for its bytes, and for those that are free for this user.
func spaceOf(dir string) (free, total int64, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, false
	}
	block := uint64(s.Bsize) //nolint:gosec // the size of a block is positive
	return bytesOf(s.Bavail * block), bytesOf(s.Blocks * block), s.Blocks > 0
}

// bytesOf returns n, or the largest int64.
func bytesOf(n uint64) int64 {
	return int64(min(n, math.MaxInt64))
}

// isFull reports whether err says that no byte fits on the disk.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }
