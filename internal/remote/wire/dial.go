package wire

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// dialHome dials the registry and records what kind of address it has.
func (h *Host) dialHome(ctx context.Context, network, addr string) (net.Conn, error) {
	if h.Options.Dial != nil {
		conn, err := h.Options.Dial(ctx, network, addr)
		if err == nil {
			h.homes.note(addressOf(conn, addr))
		}
		return conn, err
	}
	d := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	if !proxied(addr) {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			h.homes.note(address)
			return nil
		}
	}
	return d.DialContext(ctx, network, addr)
}

// dialAway dials a host that the registry redirected to. It checks the address after name
// resolution, so that no name can lead to an internal address.
func (h *Host) dialAway(ctx context.Context, network, addr string) (net.Conn, error) {
	if proxied(addr) {
		return (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, network, addr)
	}
	if h.Options.Dial != nil {
		conn, err := h.Options.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if err := h.homes.admit(addressOf(conn, addr)); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
	d := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	d.Control = func(_, address string, _ syscall.RawConn) error { return h.homes.admit(address) }
	return d.DialContext(ctx, network, addr)
}

// proxied reports whether addr is a proxy of the environment. The user chose the proxy, so it is
// dialed without a check; what may be reached through it is the proxy's decision.
func proxied(addr string) bool {
	for _, scheme := range []string{"http", "https"} {
		p, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: scheme, Host: "proxy.invalid"}})
		if err != nil || p == nil {
			continue
		}
		for _, port := range []string{"80", "443", "1080"} {
			if withPort(p.Host, port) == addr {
				return true
			}
		}
	}
	return false
}

// addressOf returns the IP address and port that conn is connected to, or addr if conn does not
// tell.
func addressOf(conn net.Conn, addr string) string {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.String()
	}
	return addr
}
