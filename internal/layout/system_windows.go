package layout

import (
	"errors"
	"os"
	"syscall"
)

// nonblock is for systems that have named pipes in directories.
const nonblock = 0

func isFull(err error) bool {
	const errorHandleDiskFull, errorDiskFull = syscall.Errno(39), syscall.Errno(112)
	return errors.Is(err, errorHandleDiskFull) || errors.Is(err, errorDiskFull)
}

// syncDir does nothing: Windows can not sync a directory.
func syncDir(*os.Root, string) error { return nil }
