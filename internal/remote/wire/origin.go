package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/drayage/dray/fault"
)

// Origin returns the registry's scheme and host. On the first use of a loopback host it finds out
// whether the host speaks TLS. Any other host is reached without TLS only if the configuration says
// so.
func (h *Host) Origin(ctx context.Context) (*url.URL, error) {
	if h.Broken != nil {
		return nil, h.Broken
	}
	if h.pinned() == "" {
		if err := h.probing.Enter(ctx); err != nil {
			return nil, h.dialFault(ctx, err)
		}
		defer h.probing.Leave()
	}
	scheme := h.pinned()
	if scheme == "" {
		var err error
		if scheme, err = h.probe(ctx); err != nil {
			return nil, err
		}
		h.Pin(scheme)
	}
	return &url.URL{Scheme: scheme, Host: h.api}, nil
}

// OriginFor is Origin within the call's Patience.
func (h *Host) OriginFor(ctx context.Context, c *Call) (*url.URL, error) {
	if c.Patience == 0 {
		return h.Origin(ctx)
	}
	within, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	origin, err := h.Origin(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return nil, c.Fault(fault.Unavailable, "", &stalled{after: c.Patience})
	}
	return origin, err
}

// pinned returns the scheme, or "" while it is unknown.
func (h *Host) pinned() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.scheme
}

// probe makes a TLS handshake and returns the scheme. It keeps the connection for the first
// request. If the answer is not TLS, the scheme is http. If the handshake fails for another reason,
// the scheme is https, and the first request will report the error.
func (h *Host) probe(ctx context.Context) (string, error) {
	within, cancel := context.WithTimeout(ctx, h.Options.Stall)
	defer cancel()
	conn, err := h.dialHome(within, "tcp", withPort(h.api, "443"))
	if err != nil {
		return "", h.dialFault(ctx, err)
	}
	shaken := h.overTLS(conn)
	err = shaken.HandshakeContext(within)
	var notTLS tls.RecordHeaderError
	switch {
	case err == nil:
		h.mu.Lock()
		h.spare = shaken
		h.mu.Unlock()
		return "https", nil
	case ctx.Err() != nil:
		conn.Close()
		return "", h.dialFault(ctx, err)
	case errors.As(err, &notTLS):
		conn.Close()
		return "http", nil
	}
	conn.Close()
	return "https", nil
}

// shakesHands reports whether a TLS handshake with the registry succeeds. It only tells TLS from
// plain http: nothing is sent on the connection, so the certificate does not matter.
func (h *Host) shakesHands(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	conn, err := h.dialHome(ctx, "tcp", withPort(h.api, "80"))
	if err != nil {
		return false
	}
	defer conn.Close()
	//nolint:gosec // no byte of a request is sent
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) == nil
}

// overTLS returns a TLS client on conn, configured as the transport for small requests would do it.
func (h *Host) overTLS(conn net.Conn) *tls.Conn {
	config := h.meta.TLSClientConfig.Clone()
	config.ServerName, _, _ = net.SplitHostPort(withPort(h.api, "443"))
	config.NextProtos = []string{"h2", "http/1.1"}
	return tls.Client(conn, config)
}

// dialSpare returns the connection of the probe to its first caller, and new connections to all
// others. The transport makes the handshake on these.
func (h *Host) dialSpare(ctx context.Context, network, addr string) (net.Conn, error) {
	h.mu.Lock()
	spare := h.spare
	h.spare = nil
	h.mu.Unlock()
	if spare != nil {
		return spare, nil
	}
	conn, err := h.dialHome(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return h.overTLS(conn), nil
}

func (h *Host) dialFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &fault.Fault{Kind: fault.Canceled, Op: "reach", Name: h.Name, Err: context.Cause(ctx)}
	}
	if _, ok := errors.AsType[*fault.Fault](err); ok {
		return err // Options.Dial refuses the address
	}
	return &fault.Fault{
		Kind: fault.Unavailable,
		Op:   "reach",
		Name: h.Name,
		Err:  err,
		Hint: reachHint(err),
	}
}

// dialBody returns a connection that was dialed early, or a new one.
func (h *Host) dialBody(ctx context.Context, network, addr string) (net.Conn, error) {
	if addr == withPort(h.api, "443") {
		if conn := h.spares.take(ctx); conn != nil {
			return conn, nil
		}
	}
	return h.dialTLS(ctx, network, addr)
}

// dialTLS dials addr, which is the registry's or a proxy's, for HTTP/1.1.
func (h *Host) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := h.dialHome(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	config := h.blobs.TLSClientConfig.Clone()
	config.ServerName, _, _ = net.SplitHostPort(addr)
	config.NextProtos = []string{"http/1.1"}
	shaken := tls.Client(conn, config)
	within, cancel := context.WithTimeoutCause(ctx, handshake, errHandshake)
	defer cancel()
	if err := shaken.HandshakeContext(within); err != nil {
		conn.Close()
		if errors.Is(context.Cause(within), errHandshake) {
			err = errHandshake
		}
		return nil, err
	}
	return shaken, nil
}

// Warm dials connections for blob bodies, once. It does nothing if they would not be used: without
// TLS, with mirrors, or behind a proxy.
func (h *Host) Warm(ctx context.Context) {
	if h.Broken != nil || h.pinned() != "https" || len(h.Set.Mirrors) > 0 {
		return
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: h.api}})
	if proxy == nil && err == nil {
		h.spares.fill(ctx, func(ctx context.Context) (net.Conn, error) {
			return h.dialTLS(ctx, "tcp", withPort(h.api, "443"))
		})
	}
}
