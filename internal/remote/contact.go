package remote

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/signin"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/ref"
)

// Contact is how a host is reached. Fields that do not apply are zero.
type Contact struct {
	Scheme    string    // "https" or "http"
	Why       string    // why it is http
	Addresses []string  // what the name resolved to; nil behind a proxy
	Address   string    // that took the connection: the registry's, or the proxy's
	Proxy     string    // HOST:PORT of a proxy in the way
	TLS       string    // "TLS 1.3"
	Issuer    string    // of the certificate
	Expires   time.Time // of the certificate
	Unchecked bool      // the certificate is not looked at, by configuration
	Status    int       // of GET /v2/ without a login; 0 when no answer came
	Asks      []string  // schemes of its challenge: "bearer", "basic"
	Firewall  bool      // it refuses the address that we come from
	Said      string    // what it says when it refuses
}

// Contact asks host for its API's root, once and without a login: the one
// request tells of name, connection, certificate and challenge. An error is one
// of the connection; the Contact then holds how far it came.
func (c *Client) Contact(ctx context.Context, host string, obs event.Watch) (Contact, error) {
	name, err := ref.Host(host)
	if err != nil {
		return Contact{}, err
	}
	h := c.host(name)
	origin, err := h.Origin(ctx)
	if err != nil {
		return Contact{}, err
	}
	at := Contact{Scheme: origin.Scheme, Unchecked: h.Set.Insecure && origin.Scheme == "https"}
	if origin.Scheme == "http" {
		at.Why = "this machine, and its answer is not TLS"
		if h.Set.PlainHTTP {
			at.Why = "plain-http is set for it"
		}
	}
	if p, err := http.ProxyFromEnvironment(&http.Request{URL: origin}); err == nil && p != nil {
		at.Proxy = p.Host
	}
	h.Idle() // a connection that is open already would tell nothing
	origin.Path = signin.PingPath
	var mu sync.Mutex
	call := &wire.Call{Op: "reach", Name: name, Method: http.MethodGet, URL: origin, Observe: obs, Single: true}
	a, err := h.Exchange(httptrace.WithClientTrace(ctx, at.trace(&mu)), call, "")
	mu.Lock()
	defer mu.Unlock() // a dial that lost the race may still tell
	if err != nil {
		return at, call.Named(err)
	}
	at.Status = a.Status
	for _, ch := range signin.ParseChallenges(a.Header) {
		at.Asks = append(at.Asks, ch.Scheme)
	}
	if a.Status == http.StatusForbidden {
		_, at.Said = a.Problem()
		at.Firewall = product.Firewalled(a.Status, at.Said) || len(at.Asks) == 0
	}
	return at, nil
}

// trace fills in what the transport tells on its way. It may tell from several goroutines.
func (at *Contact) trace(mu *sync.Mutex) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) {
			mu.Lock()
			defer mu.Unlock()
			if at.Proxy != "" {
				return
			}
			at.Addresses = nil
			for _, a := range i.Addrs {
				at.Addresses = append(at.Addresses, a.String())
			}
		},
		GotConn: func(i httptrace.GotConnInfo) {
			mu.Lock()
			defer mu.Unlock()
			at.Address = i.Conn.RemoteAddr().String()
		},
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil && s.Version != 0 {
				at.TLS = tls.VersionName(s.Version)
			}
			if len(s.PeerCertificates) == 0 {
				return
			}
			leaf := s.PeerCertificates[0]
			at.Expires, at.Issuer = leaf.NotAfter, wire.Clean(leaf.Issuer.CommonName)
			if len(leaf.Issuer.Organization) > 0 {
				at.Issuer = wire.Clean(leaf.Issuer.Organization[0] + " " + leaf.Issuer.CommonName)
			}
		},
	}
}
