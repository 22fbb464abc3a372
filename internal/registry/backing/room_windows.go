package backing

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// spaceOf asks the volume of dir for its bytes, and for those that are free for this user.
func spaceOf(dir string) (free, total int64, ok bool) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, false
	}
	var mine, size, all uint64
	if err := windows.GetDiskFreeSpaceEx(name, &mine, &size, &all); err != nil {
		return 0, 0, false
	}
	return int64(mine), int64(size), size > 0
}

// isFull reports whether err says that no byte fits on the disk.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, windows.ERROR_DISK_FULL) ||
		errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
