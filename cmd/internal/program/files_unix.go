//go:build unix

package program

import "syscall"

// files returns how many files and connections this process may have open at the same time. The runtime of Go has
// raised the limit to the highest that is allowed. 0 means that it is large enough, or that nobody knows it.
func files() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 0
	}
	return int(limit.Cur)
}
