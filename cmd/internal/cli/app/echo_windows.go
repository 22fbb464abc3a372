package app

import "golang.org/x/sys/windows"

// echoOff turns the echo of a console off. Lines are still edited, and Ctrl-C is still a signal.
func echoOff(fd int) error {
	var mode uint32
	if err := windows.GetConsoleMode(windows.Handle(fd), &mode); err != nil {
		return err
	}
	mode &^= windows.ENABLE_ECHO_INPUT
	mode |= windows.ENABLE_PROCESSED_INPUT | windows.ENABLE_LINE_INPUT | windows.ENABLE_PROCESSED_OUTPUT
	return windows.SetConsoleMode(windows.Handle(fd), mode)
}
