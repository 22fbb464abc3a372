package remote

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// sameOrigin compares scheme, host and port (RFC 6454 §5).
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && sameHost(a, b)
}

func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// redirected says where a Location leads from at. It refuses what must not be
// followed at all; whether the login goes along is for the caller to compare.
func (h *host) redirected(origin, at *url.URL, location string) (*url.URL, error) {
	to, err := parseLocation(at, location)
	if err != nil {
		return nil, h.fail(fault.Refused, "", "the registry points to an address that can not be used: %w", err)
	}
	switch {
	case sameOrigin(to, origin):
		return to, nil
	case to.Scheme == "https":
	case at.Scheme == "https":
		return nil, h.fail(fault.Refused, "", "the registry points from https to http at %s", to.Host)
	case !ref.IsLoopback(origin.Host) || !ref.IsLoopback(to.Host):
		return nil, h.fail(fault.Refused, "", "the registry points to %s without TLS", to.Host)
	}
	if ip := net.ParseIP(to.Hostname()); ip != nil {
		// Said here too, because behind a proxy the dialled address is the proxy's.
		if err := h.homes.admit(net.JoinHostPort(ip.String(), portOf(to))); err != nil {
			return nil, h.fail(fault.Refused, "", "%w", err)
		}
	}
	return to, nil
}

// located is redirected for the Location of an upload session or a Link. A
// registry behind a proxy that ends TLS often writes http for its own name:
// that is read as https, never followed as it is.
func (h *host) located(origin, at *url.URL, location string) (*url.URL, error) {
	if location == "" {
		return nil, h.fail(fault.Unavailable, "", "the answer has no Location")
	}
	to, err := parseLocation(at, location)
	if err == nil && origin.Scheme == "https" && to.Scheme == "http" && strings.EqualFold(to.Hostname(), origin.Hostname()) {
		if to.Port() == "" || to.Port() == origin.Port() {
			to.Scheme, to.Host = origin.Scheme, origin.Host
			return to, nil
		}
	}
	return h.redirected(origin, at, location)
}

func parseLocation(at *url.URL, location string) (*url.URL, error) {
	to, err := url.Parse(location)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	to = at.ResolveReference(to)
	to.Fragment, to.RawFragment = "", ""
	switch {
	case to.User != nil:
		return nil, errors.New("it holds a login")
	case to.Scheme != "https" && to.Scheme != "http":
		return nil, fmt.Errorf("scheme %.20q", to.Scheme)
	case to.Hostname() == "" || to.Opaque != "":
		return nil, errors.New("it has no host")
	}
	return to, nil
}
