//go:build !windows

package ends_test

import (
	"os"
	"syscall"
)

// owner returns the user to whom a file belongs.
func owner(info os.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(stat.Uid)
}
