package layout

import (
	"errors"
	"os"
	"syscall"
)

// nonblock has no effect on Windows, which has no named pipes in directories.
const nonblock = 0

func isFull(err error) bool {
	const errorHandleDiskFull, errorDiskFull = syscall.Errno(39), syscall.Errno(112)
	return errors.Is(err, errorHandleDiskFull) || errors.Is(err, errorDiskFull)
}

// syncDir does nothing, because Windows cannot sync a directory.
func syncDir(*os.Root, string) error { return nil }
