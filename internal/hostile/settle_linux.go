package hostile

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// settle waits until the peer's kernel has everything that was written, at
// most two seconds: an RST throws away what is still queued here, and a cut
// after n bytes would come earlier.
func settle(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	for range 2000 {
		queued := 0
		_ = raw.Control(func(fd uintptr) { queued, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		if err != nil || queued == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
