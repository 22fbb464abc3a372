//go:build !linux

package hostile

import (
	"net"
	"time"
)

// settle gives what was written time to leave: an RST throws away what is
// still queued here.
func settle(*net.TCPConn) { time.Sleep(50 * time.Millisecond) }
