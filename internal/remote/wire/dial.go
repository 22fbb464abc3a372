package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/product"
)

// dialHome dials the registry and records what kind of address it has.
func (h *Host) dialHome(ctx context.Context, network, addr string) (net.Conn, error) {
	return h.dialed(ctx, network, addr, h.dialOwn)
}

// dialAway dials a host that the registry redirected to. It checks the address after name
// resolution, so that no name can lead to an internal address.
func (h *Host) dialAway(ctx context.Context, network, addr string) (net.Conn, error) {
	return h.dialed(ctx, network, addr, h.dialOther)
}

// dialed dials, and once more when this process had too many files open and gave up connections that nobody uses.
func (h *Host) dialed(ctx context.Context, network, addr string, dial dialer) (net.Conn, error) {
	conn, err := dial(ctx, network, addr)
	if errors.Is(err, syscall.EMFILE) && h.Options.Short != nil {
		h.Options.Short()
		return dial(ctx, network, addr)
	}
	return conn, err
}

func (h *Host) dialOwn(ctx context.Context, network, addr string) (net.Conn, error) {
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

func (h *Host) dialOther(ctx context.Context, network, addr string) (net.Conn, error) {
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

// proxyHint is the hint if a proxy requires a login, either by an answer or by refusing to connect.
const proxyHint = "put the user and the password into the URL of the proxy"

// proxyRefusal is the answer of a proxy to CONNECT, if it is not 200.
type proxyRefusal struct {
	proxy, to string
	status    int
}

func (p *proxyRefusal) Error() string {
	return fmt.Sprintf("%s refuses to connect to %s: %d %s", p.proxy, p.to, p.status, http.StatusText(p.status))
}

// fault says what a refusal of a proxy means. A proxy in trouble may connect later; a rule stays.
func (p *proxyRefusal) fault(c *Call) error {
	switch {
	case p.status == http.StatusProxyAuthRequired:
		return c.Fault(fault.Denied, proxyHint, fmt.Errorf("%s requires a login", p.proxy))
	case p.status >= 500:
		return c.Fault(fault.Unavailable, "check that the proxy can reach "+p.to+", or add its host to NO_PROXY", p)
	}
	return c.Fault(fault.Refused, "allow "+p.to+" in the proxy, or add its host to NO_PROXY", p)
}

// connected returns an error if a proxy did not connect.
func connected(_ context.Context, _ *url.URL, req *http.Request, res *http.Response) error {
	if res.StatusCode == http.StatusOK {
		return nil
	}
	to := &url.URL{Scheme: "https", Host: req.URL.Opaque}
	return &proxyRefusal{proxy: proxyOf(to), to: to.Host, status: res.StatusCode}
}

// proxyOf names the proxy of the environment for requests to u, and the variable that it is from. It
// returns "" if there is none.
func proxyOf(u *url.URL) string {
	p := proxyFor(u)
	if p == nil {
		return ""
	}
	name := strings.ToUpper(u.Scheme) + "_PROXY"
	if os.Getenv(name) == "" {
		name = strings.ToLower(name)
	}
	return "the proxy " + p.Host + " (from " + name + ")"
}

// proxyFor returns the proxy of the environment for requests to u, or nil.
func proxyFor(u *url.URL) *url.URL {
	p, _ := http.ProxyFromEnvironment(&http.Request{URL: u}) // credential.CheckProxies has reported an error
	return p
}

// reachHint is the hint for a connection that could not be made because of err, or "".
func reachHint(err error) string {
	dns, unresolved := errors.AsType[*net.DNSError](err)
	op, _ := errors.AsType[*net.OpError](err)
	switch {
	case unresolved && dns.IsNotFound:
		return product.SpellingHint
	case unresolved:
		return "check the DNS server of this machine, because it gives no answer about this name"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "check the port, and that a registry is running there"
	case op != nil && op.Op == "dial":
		return "check the network and the firewall; if this network has a proxy, set HTTPS_PROXY"
	}
	return ""
}
