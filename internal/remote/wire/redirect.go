package wire

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/ref"
)

// SameOrigin reports whether a and b have the same scheme, host and port (RFC 6454 §5).
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && SameHost(a, b)
}

// SameHost reports whether a and b have the same host and port.
func SameHost(a, b *url.URL) bool {
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

// Redirected returns the URL that the Location of a redirect in an answer of at leads to. It returns
// an error if that URL must not be followed at all. Whether the login may be sent there is for the
// caller to decide.
func (h *Host) Redirected(origin, at *url.URL, location string) (*url.URL, error) {
	return h.lead(origin, at, location, product.StorageHint)
}

// Located is Redirected for addresses of the registry itself: the Location of an upload session, a
// Link and the realm of a challenge.
func (h *Host) Located(origin, at *url.URL, location string) (*url.URL, error) {
	if location == "" {
		return nil, h.Fail(fault.Unavailable, product.AddressHint, "the answer has no Location header")
	}
	return h.lead(origin, at, location, product.AddressHint)
}

// lead returns where location leads to. hint is for an address that must not be followed.
func (h *Host) lead(origin, at *url.URL, location, hint string) (*url.URL, error) {
	to, err := ParseLocation(at, location)
	if err != nil {
		return nil, h.Fail(fault.Refused, hint, "the registry points to an invalid address: %w", err)
	}
	to = AtHome(origin, to)
	switch {
	case SameOrigin(to, origin):
		return to, nil
	case to.Scheme == "https":
	case at.Scheme == "https" || origin.Scheme == "https":
		return nil, h.Fail(fault.Refused, hint, "the registry points from https to http at %s", to.Host)
	case !ref.IsLoopback(origin.Host) || !ref.IsLoopback(to.Host):
		return nil, h.Fail(fault.Refused, hint, "the registry points to %s without TLS", to.Host)
	}
	if ip := net.ParseIP(to.Hostname()); ip != nil {
		// This check repeats the one in dialAway, because behind a proxy the dialed address is the
		// proxy's.
		if err := h.homes.admit(net.JoinHostPort(ip.String(), portOf(to))); err != nil {
			return nil, h.Fail(fault.Refused, hint, "%w", err)
		}
	}
	return to, nil
}

// AtHome returns to, or the same path at origin if to is an address that the registry at origin has
// misspelled. A registry behind a proxy that terminates TLS often writes http for its own name,
// with the port of http, with its own port or without one. The misspelled address is never used as
// it is, so nothing that is asked by https is answered by http.
func AtHome(origin, to *url.URL) *url.URL {
	if origin.Scheme != "https" || to.Scheme != "http" || !strings.EqualFold(to.Hostname(), origin.Hostname()) {
		return to
	}
	switch to.Port() {
	case "", "80", portOf(origin):
		home := *to
		home.Scheme, home.Host = origin.Scheme, origin.Host
		return &home
	}
	return to
}

// ParseLocation returns the URL that a Location, Link or realm in an answer of at leads to. The URL
// must be http or https and contain no login.
func ParseLocation(at *url.URL, location string) (*url.URL, error) {
	to, err := url.Parse(location)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	to = at.ResolveReference(to)
	to.Fragment, to.RawFragment = "", ""
	switch {
	case to.User != nil:
		return nil, errors.New("it contains a login")
	case to.Scheme != "https" && to.Scheme != "http":
		return nil, fmt.Errorf("unsupported scheme %.20q", to.Scheme)
	case to.Hostname() == "" || to.Opaque != "":
		return nil, errors.New("it has no host")
	}
	return to, nil
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// WithQuery appends raw to the query of u and leaves the rest unchanged, because an upload location
// may be signed.
func WithQuery(u *url.URL, raw string) *url.URL {
	v := *u
	if v.RawQuery != "" {
		v.RawQuery += "&"
	}
	v.RawQuery += raw
	return &v
}
