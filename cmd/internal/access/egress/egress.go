package egress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// Guard limits the addresses that a server connects to for its users. It checks the address that is
// dialed, after the name was resolved. So no name, redirect, Location or token realm can lead to a
// forbidden address, even if the name resolves to another address the next time. The zero Guard
// allows public addresses only. It is safe for concurrent use.
type Guard struct {
	// Allow lists the private and loopback addresses that any user may make the server connect to.
	Allow []netip.Prefix
	// Hosts lists the hosts that the operator configured: registries, their mirrors and token hosts,
	// and Proxies. Each is "host" (ports 443 and 80) or "host:port". They may be private or loopback.
	Hosts []string
	// Self is the address that the server listens on; nil means that it does not listen. A connection to it is
	// refused under any name: the server reads and writes its own registry without one.
	Self net.Addr
	// Log gets the addresses and the DNS servers that errors do not name; nil means that they are dropped.
	Log *slog.Logger
}

const dialTimeout = 30 * time.Second

// Dial connects to addr; it is a dray.Config.Dial. The error is Refused for a forbidden address.
// Link-local addresses, the metadata services of clouds, multicast and addresses that are no host's
// are always forbidden, whatever is configured. Other errors are those of the network.
//
// If addr has a name, no error of Dial and of the connection contains an address: the users of the server could
// otherwise learn what the names inside its network resolve to.
func (g *Guard) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: dialTimeout}
	known := g.configured(addr)
	d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return refused(addr, "", errors.New("not an address: "+address))
		}
		if err := g.admit(addr, at.Addr(), known); err != nil {
			g.tell(ctx, "a connection for a user was refused", addr, fmt.Errorf("the address is %s", at.Addr()))
			return err
		}
		return g.elsewhere(addr, at)
	}
	conn, err := d.DialContext(ctx, network, addr)
	switch f, ok := errors.AsType[*fault.Fault](err); {
	case ok:
		return nil, f // without the text that package net adds
	case isIP(addr):
		return conn, err
	case err != nil:
		if ctx.Err() == nil {
			g.tell(ctx, "a connection for a user failed", addr, err)
		}
		return nil, unaddressed(err)
	}
	return &quiet{conn}, nil
}

func (g *Guard) tell(ctx context.Context, what, addr string, err error) {
	if g.Log != nil {
		g.Log.LogAttrs(ctx, slog.LevelInfo, what, slog.String("to", addr), slog.Any("err", err))
	}
}

// isIP reports whether the host of addr is an IP address.
func isIP(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	_, err := netip.ParseAddr(host)
	return err == nil
}

// Proxied checks an address that a proxy is going to dial; it is a place.Inside.Proxied. It applies
// the same rules to an IP address. It accepts any name, because the proxy resolves the name and must
// check the address itself.
func (g *Guard) Proxied(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return refused(addr, "", err)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil // addr is a name
	}
	return g.admit(addr, ip, g.configured(addr))
}

// Proxies returns the hosts of the proxies in the environment env, in the variables that net/http
// reads.
func Proxies(env func(string) string) []string {
	var hosts []string
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		s := env(name)
		if s == "" {
			continue
		}
		if !strings.Contains(s, "://") {
			s = "http://" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" {
			continue // net/http reports this error at each request
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
		}
		hosts = append(hosts, net.JoinHostPort(u.Hostname(), cmp.Or(port, "80")))
	}
	return hosts
}

// origin says whether the operator configured the host that is dialed.
type origin string

const (
	named   origin = "configured"
	unnamed origin = ""
)

// configured says whether Hosts contains addr.
func (g *Guard) configured(addr string) origin {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return unnamed
	}
	plain := host
	if strings.Contains(host, ":") {
		plain = "[" + host + "]"
	}
	same := func(h string) bool {
		return strings.EqualFold(h, plain+":"+port) || (port == "443" || port == "80") && strings.EqualFold(h, plain)
	}
	if slices.ContainsFunc(g.Hosts, same) {
		return named
	}
	return unnamed
}

// admit returns an error if the address ip, which addr resolved to, is forbidden.
func (g *Guard) admit(addr string, ip netip.Addr, from origin) error {
	for _, ip := range targets(ip) {
		if reserved(ip) {
			what := "the name resolves to an address that"
			if isIP(addr) {
				what = ip.String()
			}
			return refused(addr, "link-local and metadata addresses are always forbidden",
				errors.New(what+" cannot be the address of a registry"))
		}
		inside := ip.IsLoopback() || slices.ContainsFunc(private, func(p netip.Prefix) bool { return p.Contains(ip) })
		if inside && from != named && !slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return inner(addr, ip)
		}
	}
	return nil
}

// inner is the error of the private or loopback address ip. It tells the address only to who has named it.
func inner(addr string, ip netip.Addr) error {
	if isIP(addr) {
		self := netip.PrefixFrom(ip, ip.BitLen()).String()
		return refused(addr, "configure the registry below registries, or add "+self+" to server.egress.allow",
			fmt.Errorf("%s is a private or loopback address", ip))
	}
	return refused(addr, "configure the registry below registries, or add its address to server.egress.allow; "+
		"the log of the server has the address", errors.New("the name resolves to a private or loopback address"))
}

// elsewhere returns an error if at is an address of the server itself.
func (g *Guard) elsewhere(addr string, at netip.AddrPort) error {
	self, ok := g.Self.(*net.TCPAddr)
	if !ok || self.Port != int(at.Port()) {
		return nil
	}
	ip := at.Addr().WithZone("").Unmap()
	own, _ := netip.AddrFromSlice(self.IP)
	if own = own.Unmap(); own != ip && (!own.IsUnspecified() || !ofThisMachine(ip)) {
		return nil
	}
	return refused(addr, "use "+wire.EmbeddedName+", the name of the server's own registry",
		errors.New("this is the server itself under another name"))
}

// ofThisMachine reports whether ip is an address of this machine.
func ofThisMachine(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(all, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(ip.AsSlice())
	})
}

func refused(addr, hint string, err error) error {
	return &fault.Fault{Kind: fault.Refused, Op: "connect to", Name: addr, Hint: hint, Err: err}
}

func prefixes(all ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, s := range all {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

var (
	// private lists the networks that the registries of RFC 6890 call private, shared or for benchmarks.
	private = prefixes(
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "192.0.0.0/24",
		"fc00::/7", "fec0::/10", "64:ff9b:1::/48",
	)

	// reservedNets lists addresses that are no host's, and metadata services outside of the link-local
	// networks: Azure's wire server, Alibaba's, Oracle's, and over IPv6 those of AWS and Google.
	reservedNets = prefixes(
		"0.0.0.0/8", "240.0.0.0/4", "169.254.0.0/16",
		"168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32",
		"::/128", "fe80::/10", "fd00:ec2::/32", "fd20:ce::254/128",
	)

	nat64     = prefixes("64:ff9b::/96", "64:ff9b:1::/48")
	compat    = prefixes("::/96")
	sixToFour = prefixes("2002::/16")
	teredo    = prefixes("2001::/32")
)

// reserved reports whether no registry can have the address ip.
func reserved(ip netip.Addr) bool {
	return !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() ||
		slices.ContainsFunc(reservedNets, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// targets returns ip and the IPv4 addresses that are embedded in it, to which a translator would
// connect: RFC 4291 §2.5.5, RFC 6052, RFC 8215, RFC 3056, RFC 4380, RFC 5214.
func targets(ip netip.Addr) []netip.Addr {
	ip = ip.WithZone("").Unmap()
	all := []netip.Addr{ip}
	if !ip.Is6() || ip.IsLoopback() || ip.IsUnspecified() {
		return all
	}
	b := ip.As16()
	four := func(i int, flip byte) {
		all = append(all, netip.AddrFrom4([4]byte{b[i] ^ flip, b[i+1] ^ flip, b[i+2] ^ flip, b[i+3] ^ flip}))
	}
	within := func(p []netip.Prefix) bool {
		return slices.ContainsFunc(p, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	switch {
	case within(nat64), within(compat):
		four(12, 0)
	case within(sixToFour):
		four(2, 0)
	case within(teredo):
		four(4, 0)
		four(12, 0xff)
	case b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP
		four(12, 0)
	}
	return all
}
