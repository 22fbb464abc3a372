package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/drayage/dray/fault"
)

// connect builds the host's transports.
func (h *host) connect() error {
	own, roots, err := h.tlsConfigs()
	if err != nil {
		return err
	}
	h.meta = h.transport(own, h.dialHome)
	h.meta.Protocols.SetHTTP2(true)
	h.meta.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second}
	if h.scheme == "" {
		h.meta.DialTLSContext = h.dialSpare
	}
	h.blobs = h.transport(own, widened(h.dialHome, &h.client.pieces))
	h.blobs.DialTLSContext = h.dialBody
	h.away = h.transport(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, widened(h.dialAway, &h.client.pieces))
	return nil
}

func (h *host) transport(config *tls.Config, dial dialer) *http.Transport {
	t := &http.Transport{
		Proxy:                  h.proxy,
		DialContext:            dial,
		TLSClientConfig:        config.Clone(),
		TLSHandshakeTimeout:    handshake,
		DisableCompression:     true, // bytes arrive as they were stored
		MaxIdleConnsPerHost:    2 * max(h.down.top, asks),
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// proxy is that of the environment, where Options.Proxied agrees to what it is to dial.
func (h *host) proxy(req *http.Request) (*url.URL, error) {
	p, err := http.ProxyFromEnvironment(req)
	if err == nil && p != nil && h.options.Proxied != nil {
		err = h.options.Proxied(withPort(req.URL.Host, map[string]string{"http": "80", "https": "443"}[req.URL.Scheme]))
	}
	return p, err
}

// dialHome dials the registry and notes what kind of address it has.
func (h *host) dialHome(ctx context.Context, network, addr string) (net.Conn, error) {
	if h.options.Dial != nil {
		conn, err := h.options.Dial(ctx, network, addr)
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
func (h *host) dialAway(ctx context.Context, network, addr string) (net.Conn, error) {
	if proxied(addr) {
		return (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, network, addr)
	}
	if h.options.Dial != nil {
		conn, err := h.options.Dial(ctx, network, addr)
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

// place is a kind of address.
type place string

const (
	public    place = "public"
	private   place = "private"
	linkLocal place = "link-local"
	loopback  place = "loopback"
	nowhere   place = "reserved" // unspecified, multicast, reserved
)

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

// homes are the places where the registry itself was dialled. The zero value is none.
type homes struct {
	mu   sync.Mutex
	seen map[place]bool
}

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

// errInside marks an address that a registry may not send us to.
var errInside = errors.New("the registry points to an address where it is not itself")

// admit refuses an address that is not public, unless the registry is in such a place itself.
func (s *homes) admit(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil // a name, dialled by Options.Dial: there is no address to look at
	}
	where := placeOf(a.Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	if where == public || where != nowhere && s.seen[where] {
		return nil
	}
	return fmt.Errorf("%w: %s (%s)", errInside, a.Addr(), where)
}

// certDirs are where docker and podman keep certificates by host.
func certDirs() []string {
	dirs := []string{"/etc/containers/certs.d", "/etc/docker/certs.d"}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append([]string{filepath.Join(home, ".config/containers/certs.d")}, dirs...)
	}
	return dirs
}

// tlsConfigs returns the configuration for the registry itself, and the roots
// that are also trusted for its storage elsewhere.
func (h *host) tlsConfigs() (*tls.Config, *x509.CertPool, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: h.set.Insecure, ClientSessionCache: tls.NewLRUClientSessionCache(0)} //nolint:gosec // by configuration, for this host
	var files []string
	if h.set.CAFile != "" {
		files = append(files, h.set.CAFile)
	}
	pairs := [][2]string{}
	if h.set.ClientCert != "" || h.set.ClientKey != "" {
		pairs = append(pairs, [2]string{h.set.ClientCert, h.set.ClientKey})
	}
	for _, dir := range h.options.CertDirs {
		found, _ := filepath.Glob(filepath.Join(dir, h.name, "*.crt"))
		files = append(files, found...)
		certs, _ := filepath.Glob(filepath.Join(dir, h.name, "*.cert"))
		for _, cert := range certs {
			pairs = append(pairs, [2]string{cert, strings.TrimSuffix(cert, ".cert") + ".key"})
		}
	}
	if len(files) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		for _, name := range files {
			pem, err := os.ReadFile(name)
			if err == nil && !pool.AppendCertsFromPEM(pem) {
				err = errors.New("no certificate in it")
			}
			if err != nil {
				return nil, nil, h.badFile(name, err)
			}
		}
		config.RootCAs = pool
	}
	for _, p := range pairs {
		pair, err := tls.LoadX509KeyPair(p[0], p[1])
		if err != nil {
			return nil, nil, h.badFile(p[0], err)
		}
		config.Certificates = append(config.Certificates, pair)
	}
	return config, config.RootCAs, nil
}

func (h *host) badFile(name string, err error) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read certificates for", Name: h.name, Err: fmt.Errorf("%s: %w", name, err)}
}
