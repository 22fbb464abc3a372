//go:build !linux

package store

import "syscall"

// userTimeout does nothing: only Linux has the option of a socket.
func userTimeout(int) func(network, address string, c syscall.RawConn) error { return nil }
