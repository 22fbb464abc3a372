package store

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func TestASocketGivesUpWhatIsNotAcknowledged(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for text, want := range map[string]int{"": 20_000, "7000": 7000, "0": 0} {
		params := map[string]string{"keepalives_idle": "30"}
		if text != "" {
			params[userTimeoutName] = text
		}
		c, err := (&patience{}).dialer(params)(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := c.(*path).Conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			ms, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			idle, e := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
			if err != nil || e != nil || ms != want || idle != 30 {
				t.Error(ms, idle, err, e, "want", want)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if _, left := params["keepalives_idle"]; left {
			t.Error("the server would be asked for a setting that it does not know")
		}
	}
}
