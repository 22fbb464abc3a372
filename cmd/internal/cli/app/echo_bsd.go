//go:build unix && !linux

package app

import "golang.org/x/sys/unix"

// The requests of ioctl for the mode of a terminal.
const (
	getMode = unix.TIOCGETA
	setMode = unix.TIOCSETA
)
