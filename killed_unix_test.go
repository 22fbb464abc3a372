//go:build unix

package dray_test

import (
	"os/signal"
	"syscall"
)

func (e errand) limit() error {
	if e.FileLimit == 0 {
		return nil
	}
	signal.Ignore(syscall.SIGXFSZ)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: e.FileLimit, Max: e.FileLimit})
}
