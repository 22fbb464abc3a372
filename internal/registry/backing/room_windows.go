package backing

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// roomOf asks the volume of dir.
func roomOf(dir string) (Room, bool) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return Room{}, false
	}
	var free, total, all uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, &total, &all); err != nil {
		return Room{}, false
	}
	return Room{Free: int64(free), Total: int64(total)}, total > 0
}

// isFull reports whether err says that no byte fits on the disk.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, windows.ERROR_DISK_FULL) ||
		errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
