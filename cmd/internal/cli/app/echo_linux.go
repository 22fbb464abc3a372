package app

import "golang.org/x/sys/unix"

// The requests of ioctl for the mode of a terminal.
const (
	getMode = unix.TCGETS
	setMode = unix.TCSETS
)
