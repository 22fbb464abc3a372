package remote

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/signin"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/ref"
)

// Contact describes how a host is reached. Fields that do not apply are zero.
type Contact struct {
	Scheme    string    // "https" or "http"
	Why       string    // why the scheme is http
	Addresses []string  // addresses that the name resolved to; nil behind a proxy
	Address   string    // address that was connected to, of the registry or of the proxy
	Proxy     string    // HOST:PORT of the proxy that is used
	TLS       string    // TLS version: "TLS 1.3"
	Issuer    string    // issuer of the certificate
	Expires   time.Time // expiry of the certificate
	Unchecked bool      // the certificate is not verified, because of the configuration
	Status    int       // status of GET /v2/ without a login; 0 if there was no answer
	Hint      string    // what to do about a status that is no challenge, as for any other request; "" if not known
	Asks      []string  // schemes of the challenges: "bearer", "basic"
	Firewall  bool      // the registry refuses the address of this machine
	Said      string    // the text of the refusal
}

// Contact requests the root of host's API once, without a login. This one request shows the name
// resolution, the connection, the certificate and the challenge. An error means that the connection
// failed; the Contact then contains the results up to the failure.
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
		at.Why = "a host on this machine that does not speak TLS"
		if h.Set.PlainHTTP {
			at.Why = "the configuration sets plain-http for it"
		}
	}
	if p, err := http.ProxyFromEnvironment(&http.Request{URL: origin}); err == nil && p != nil {
		at.Proxy = p.Host
	}
	h.Idle() // only a new connection shows name resolution and TLS
	origin.Path = signin.PingPath
	var mu sync.Mutex
	call := &wire.Call{Op: "reach", Name: name, Method: http.MethodGet, URL: origin, Observe: c.watched(obs), Single: true}
	a, err := h.Exchange(httptrace.WithClientTrace(ctx, at.trace(&mu)), call, "")
	mu.Lock()
	defer mu.Unlock() // a dial that lost the race may still call the trace
	if err != nil {
		return at, call.Named(err)
	}
	at.Status = a.Status
	for _, ch := range signin.ParseChallenges(a.Header) {
		at.Asks = append(at.Asks, ch.Scheme)
	}
	if a.Status != http.StatusOK && a.Status != http.StatusUnauthorized {
		at.Hint = fault.HintOf(h.Refusal(call, a))
	}
	if a.Status == http.StatusForbidden {
		_, said := a.Problem()
		at.Said = c.sent.Cut(said)
		at.Firewall = product.Firewalled(a.Status, at.Said) || len(at.Asks) == 0
	}
	return at, nil
}

// trace returns hooks that fill in at while the transport connects. The transport may call them
// from several goroutines; mu guards at.
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
			at.Expires, at.Issuer = leaf.NotAfter, reason.Clean(leaf.Issuer.CommonName)
			if len(leaf.Issuer.Organization) > 0 {
				at.Issuer = reason.Clean(leaf.Issuer.Organization[0] + " " + leaf.Issuer.CommonName)
			}
		},
	}
}
