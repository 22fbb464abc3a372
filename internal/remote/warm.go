package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/drayage/dray/ref"
)

const (
	warmed    = 2                // connections that are dialled early: an image has a configuration and a layer at least
	warmFor   = 5 * time.Second  // how long one may wait for its first request: servers close those that say nothing
	handshake = 15 * time.Second // how long one may take
)

var errHandshake = errors.New("no TLS handshake within 15 s")

// spares are connections for blob bodies that were dialled before there was a body to send or to ask for.
type spares struct {
	mu     sync.Mutex
	asked  bool
	over   bool // nobody waits any more
	stop   context.CancelFunc
	coming []chan net.Conn // one gives a connection, or is closed without
}

// Warm dials connections for blob bodies to host, where they are going to be needed, so that TCP
// and TLS are done with when they are. It returns at once, and does nothing the second time, for a host
// that is not spoken to over TLS, and where a proxy or a mirror is in the way.
func (c *Client) Warm(ctx context.Context, host string) {
	name, err := ref.Host(host)
	if err != nil {
		return
	}
	h := c.host(name)
	if h.broken != nil || h.pinned() != "https" || len(h.set.Mirrors) > 0 {
		return
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: h.api}})
	if proxy == nil && err == nil {
		h.spares.fill(ctx, func(ctx context.Context) (net.Conn, error) { return h.dialTLS(ctx, "tcp", withPort(h.api, "443")) })
	}
}

func (s *spares) fill(ctx context.Context, dial func(context.Context) (net.Conn, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked {
		return
	}
	ctx, s.stop = context.WithTimeout(ctx, warmFor)
	s.asked = true
	context.AfterFunc(ctx, s.drain)
	for range warmed {
		one := make(chan net.Conn, 1)
		s.coming = append(s.coming, one)
		go func() {
			defer close(one)
			if conn, err := dial(ctx); err == nil {
				one <- conn
			}
		}()
	}
}

// take waits for a connection that is on its way; nil where there is none.
func (s *spares) take(ctx context.Context) net.Conn {
	for {
		s.mu.Lock()
		if len(s.coming) == 0 {
			s.mu.Unlock()
			return nil
		}
		one := s.coming[0]
		s.coming = s.coming[1:]
		s.mu.Unlock()
		select {
		case conn := <-one:
			if conn != nil {
				return conn
			}
		case <-ctx.Done():
			s.mu.Lock()
			s.coming = append(s.coming, one)
			over := s.over
			s.mu.Unlock()
			if over {
				s.drain()
			}
			return nil
		}
	}
}

// drain lets go of what nobody took.
func (s *spares) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.coming {
		if conn := <-one; conn != nil {
			conn.Close()
		}
	}
	s.coming, s.over = nil, true
}

func (s *spares) close() {
	s.mu.Lock()
	stop := s.stop
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	s.drain()
}

// dialBody gives out a connection that was dialled early, or a new one.
func (h *host) dialBody(ctx context.Context, network, addr string) (net.Conn, error) {
	if addr == withPort(h.api, "443") {
		if conn := h.spares.take(ctx); conn != nil {
			return conn, nil
		}
	}
	return h.dialTLS(ctx, network, addr)
}

// dialTLS dials addr, the registry's or a proxy's, for HTTP/1.1.
func (h *host) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
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
