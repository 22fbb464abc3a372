//go:build unix

package app

import "golang.org/x/sys/unix"

// echoOff turns the echo of a terminal off. Lines are still edited, and Ctrl-C is still a signal.
func echoOff(fd int) error {
	mode, err := unix.IoctlGetTermios(fd, getMode)
	if err != nil {
		return err
	}
	mode.Lflag &^= unix.ECHO
	mode.Lflag |= unix.ICANON | unix.ISIG
	mode.Iflag |= unix.ICRNL
	return unix.IoctlSetTermios(fd, setMode, mode)
}
