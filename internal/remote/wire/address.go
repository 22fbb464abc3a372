package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// place is a kind of address.
type place string

const (
	public    place = "public"
	private   place = "private"
	linkLocal place = "link-local"
	loopback  place = "loopback"
	nowhere   place = "reserved" // unspecified, multicast or reserved
)

// placeOf returns the kind of ip. An IPv4 address embedded in IPv6 (NAT64 or 6to4) counts as that
// IPv4 address.
func placeOf(ip netip.Addr) place {
	ip = ip.Unmap()
	if b := ip.As16(); ip.Is6() && (nat64.Contains(ip) || sixToFour.Contains(ip)) {
		if nat64.Contains(ip) {
			return placeOf(netip.AddrFrom4([4]byte(b[12:16])))
		}
		return placeOf(netip.AddrFrom4([4]byte(b[2:6])))
	}
	switch {
	case ip.IsLoopback():
		return loopback
	case ip.IsUnspecified(), ip.IsMulticast(), thisNet.Contains(ip), reserved.Contains(ip):
		return nowhere
	case ip.IsLinkLocalUnicast(), ip == azureMetadata, ip == alibabaMetadata, ip == awsMetadata6:
		return linkLocal
	case ip.IsPrivate(), carrier.Contains(ip):
		return private
	}
	return public
}

var (
	nat64           = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour       = netip.MustParsePrefix("2002::/16")
	thisNet         = netip.MustParsePrefix("0.0.0.0/8")
	reserved        = netip.MustParsePrefix("240.0.0.0/4")
	carrier         = netip.MustParsePrefix("100.64.0.0/10")
	azureMetadata   = netip.MustParseAddr("168.63.129.16")
	alibabaMetadata = netip.MustParseAddr("100.100.100.200")
	awsMetadata6    = netip.MustParseAddr("fd00:ec2::254")
)

// IsPublic reports whether ip is an address on the Internet: not one of this machine, of a private network, or of the
// services of a cloud.
func IsPublic(ip netip.Addr) bool { return placeOf(ip) == public }

// homes records the kinds of address at which the registry itself was dialed. The zero value has
// none.
type homes struct {
	mu   sync.Mutex
	seen map[place]bool
}

// note records the kind of address, which has the form IP:PORT.
func (s *homes) note(address string) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[place]bool{}
	}
	s.seen[placeOf(a.Addr())] = true
}

// errInside is the cause if a registry redirects to an address that dray must not dial.
var errInside = errors.New("the registry points to an address that is not public")

// admit returns an error for an address that is not public, unless the registry itself was dialed
// at an address of the same kind.
func (s *homes) admit(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil // a name, dialed by Options.Dial: there is no address to check
	}
	where := placeOf(a.Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	if where == public || where != nowhere && s.seen[where] {
		return nil
	}
	return fmt.Errorf("%w: %s (%s)", errInside, a.Addr(), where)
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return host + ":" + port
}
