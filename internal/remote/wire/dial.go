package wire

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// dialHome dials the registry and notes what kind of address it has.
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

// dialAway dials somewhere a registry pointed to. It looks at the address
// after name resolution, so that no name can lead inside.
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

// proxied reports whether addr is a proxy of the environment: it is dialled on
// the user's word, and what lies behind it is the proxy's to judge.
func proxied(addr string) bool {
	for _, scheme := range []string{"http", "https"} {
		p, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: scheme, Host: "proxy.invalid"}})
		if err == nil && p != nil && (withPort(p.Host, "80") == addr || withPort(p.Host, "443") == addr || withPort(p.Host, "1080") == addr) {
			return true
		}
	}
	return false
}

func addressOf(conn net.Conn, addr string) string {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.String()
	}
	return addr
}
