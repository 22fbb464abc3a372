package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/drayage/dray/fault"
)

// Egress limits the addresses that a server connects to for its users. It checks the address that is
// dialed, after the name was resolved. So no name, redirect, Location or token realm can lead to a
// forbidden address, even if the name resolves to another address the next time. The zero Egress
// allows public addresses only.
type Egress struct {
	// Allow lists the private and loopback addresses that any user may make the server connect to.
	Allow []netip.Prefix
	// Hosts lists the hosts that the operator configured: registries, their mirrors and token hosts,
	// and Proxies. Each is "host" (ports 443 and 80) or "host:port". They may be private or loopback.
	Hosts []string
}

const dialTimeout = 30 * time.Second

// Dial connects to addr; it is a dray.Config.Dial. The error is Refused for a forbidden address.
// Link-local addresses, the metadata services of clouds, multicast and addresses that are no host's
// are always forbidden, whatever is configured. Other errors are those of the network.
func (e *Egress) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: dialTimeout}
	known := e.configured(addr)
	d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return refused(addr, "", errors.New("not an address: "+address))
		}
		return e.admit(addr, at.Addr(), known)
	}
	conn, err := d.DialContext(ctx, network, addr)
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		return nil, f // without the text that package net adds
	}
	return conn, err
}

// Proxied checks an address that a proxy is going to dial; it is a place.Inside.Proxied. It applies
// the same rules to an IP address. It accepts any name, because the proxy resolves the name and must
// check the address itself.
func (e *Egress) Proxied(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return refused(addr, "", err)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil // addr is a name
	}
	return e.admit(addr, ip, e.configured(addr))
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
func (e *Egress) configured(addr string) origin {
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
	if slices.ContainsFunc(e.Hosts, same) {
		return named
	}
	return unnamed
}

// admit returns an error if the address ip, which addr resolved to, is forbidden.
func (e *Egress) admit(addr string, ip netip.Addr, from origin) error {
	for _, ip := range targets(ip) {
		if reserved(ip) {
			return refused(addr, "link-local and metadata addresses are always forbidden",
				fmt.Errorf("%s cannot be the address of a registry", ip))
		}
		inside := ip.IsLoopback() || slices.ContainsFunc(private, func(p netip.Prefix) bool { return p.Contains(ip) })
		if inside && from != named && !slices.ContainsFunc(e.Allow, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			self := netip.PrefixFrom(ip, ip.BitLen()).String()
			return refused(addr, "configure the registry below registries, or add "+self+" to server.egress.allow",
				fmt.Errorf("%s is a private or loopback address", ip))
		}
	}
	return nil
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
