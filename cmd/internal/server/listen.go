package server

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// listen listens on addr. It refuses a loopback name, such as "localhost", that resolves to another
// address on this machine.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	const hint = "use HOST:PORT, such as " + wire.DefaultListen
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, listenFault(addr, fault.Invalid, hint, errors.New("not HOST:PORT"))
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, listenFault(addr, fault.Canceled, "", context.Cause(ctx))
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, listenFault(addr, fault.Conflict, "stop the process that listens there, or choose another address",
			errors.New("another process listens on this address"))
	case errors.Is(err, syscall.EACCES):
		return nil, listenFault(addr, fault.Denied, "choose a port above 1023; lower ports require a privilege", err)
	case err != nil:
		return nil, listenFault(addr, fault.Invalid, hint, err)
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); isLoopback(addr) && (!ok || !tcp.IP.IsLoopback()) {
		l.Close()
		return nil, listenFault(addr, fault.Invalid, "use "+wire.DefaultListen,
			errors.New("the name does not resolve to this machine"))
	}
	return l, nil
}

func listenFault(addr string, kind fault.Kind, hint string, err error) error {
	return &fault.Fault{Kind: kind, Op: "listen on", Name: addr, Hint: hint, Err: err}
}
