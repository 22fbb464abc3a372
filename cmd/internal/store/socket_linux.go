package store

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// userTimeout returns the control function of a dialer that ends a connection if data stays
// unacknowledged for ms milliseconds; 0 means the system's default, which is some 15 minutes.
func userTimeout(ms int) func(network, address string, c syscall.RawConn) error {
	return func(network, _ string, c syscall.RawConn) error {
		if ms <= 0 || !strings.HasPrefix(network, "tcp") {
			return nil
		}
		var err error
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms)
		}); e != nil {
			return e
		}
		return err
	}
}
