package hostile

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// settle waits, for at most two seconds, until the peer's kernel has received everything that was
// written. An RST discards what is still queued here, so a cut after n bytes would come too early.
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
