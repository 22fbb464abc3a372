//go:build !linux

package hostile

import (
	"net"
	"time"
)

// settle waits so that the written bytes are sent: an RST discards what is still queued here.
func settle(*net.TCPConn) { time.Sleep(50 * time.Millisecond) }
