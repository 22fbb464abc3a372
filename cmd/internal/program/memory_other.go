//go:build !linux

package program

// FitMemory does nothing: the system has no control groups.
func FitMemory() {}
