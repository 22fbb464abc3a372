package access

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
)

// Challenge is the value of WWW-Authenticate for a 401.
const Challenge = `Basic realm="dray", charset="UTF-8"`

// Authenticate returns the principal of r. It accepts a token as Bearer, or as the password of any
// user in Basic; the same holds for a token of Issue. The header Authorization takes precedence over a
// client certificate. If the one that takes precedence is wrong, Authenticate does not try the other.
// A request without credentials is Anonymous if a rule names "anonymous".
//
// The error is Denied, which a caller answers with 401 and Challenge, or Unavailable if the database
// did not answer. An htpasswd file that cannot be read is Invalid.
func (a *Access) Authenticate(r *http.Request) (Principal, error) {
	ctx := r.Context()
	open, err := a.open(ctx)
	if err != nil {
		return Principal{}, err
	}
	if open && fromThisMachine(r) {
		return Principal{Name: Local, Role: Admin, Via: ViaLoopback}, nil
	}
	switch given := r.Header.Values("Authorization"); {
	case len(given) > 1:
		return Principal{}, denied("the request has more than one header Authorization", "")
	case len(given) == 1:
		shown, err := readAuthorization(given[0])
		if err != nil {
			return Principal{}, denied(err.Error(), "")
		}
		return a.identify(ctx, shown)
	case a.ca != nil && r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		return a.byCertificate(r.TLS.VerifiedChains[0][0])
	case a.grantsAnonymous():
		return Principal{Name: Anonymous, Role: Reader, Via: ViaNothing}, nil
	}
	if a.Lost() && fromThisMachine(r) {
		return Principal{}, denied("the database of the server has lost its tokens", "restore it, or create a token: "+
			shell.Dray("serve", "token", "create", "admin", "--role", "admin"))
	}
	if open {
		cause := "no user is configured, and the request did not come directly from the server's own machine"
		return Principal{}, denied(cause, "create a token on the machine of the server: "+
			shell.Dray("serve", "token", "create", "admin", "--role", "admin"))
	}
	return Principal{}, denied("the request has no login",
		"set DRAY_TOKEN; other clients send a token as Bearer, or as the password of any user")
}

// Base returns the URL of the server for the client of r: public, if it is set, and otherwise the host of
// the request. It trusts no header of a proxy, because any client can send one.
func Base(public string, r *http.Request) string {
	switch {
	case public != "":
		return public
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// Identify returns the principal of a user and a secret, as they would be sent with Basic. A secret
// that is a token needs no user. Errors are those of Authenticate.
func (a *Access) Identify(ctx context.Context, user, secret string) (Principal, error) {
	return a.identify(ctx, authorization{user: user, secret: secret, basic: true})
}

// identify returns the principal of an authorization. The form of the secret tells its kind.
func (a *Access) identify(ctx context.Context, p authorization) (Principal, error) {
	switch {
	case strings.HasPrefix(p.secret, tokenPrefix):
		return a.byToken(ctx, p.secret)
	case strings.Count(p.secret, ".") == 2 && strings.HasPrefix(p.secret, sessionHeader+"."):
		return a.bySession(ctx, p.secret)
	case p.basic && a.users != nil:
		if checkName(p.user) != nil {
			return Principal{}, denied("wrong user or password", wrongLogin)
		}
		ok, err := a.users.verify(ctx, p.user, p.secret)
		if err != nil {
			return Principal{}, err
		}
		if !ok {
			return Principal{}, denied("wrong user or password", wrongLogin)
		}
		return Principal{Name: p.user, Role: a.roleOf(p.user), Via: ViaHtpasswd}, nil
	}
	return Principal{}, denied("this server does not know this login", "")
}

// byCertificate returns the principal of a certificate that TLS has verified. Its name is the first
// URI of the alternative names, else the first e-mail address, else the common name.
func (a *Access) byCertificate(cert *x509.Certificate) (Principal, error) {
	name := cert.Subject.CommonName
	switch {
	case len(cert.URIs) > 0:
		name = cert.URIs[0].String()
	case len(cert.EmailAddresses) > 0:
		name = cert.EmailAddresses[0]
	}
	if err := checkName(name); err != nil {
		return Principal{}, denied("the client certificate has no usable name: "+err.Error(),
			"use a certificate with a URI, an e-mail address or a common name")
	}
	return Principal{Name: name, Role: a.roleOf(name), Via: ViaCertificate, until: cert.NotAfter}, nil
}

// ClientCAs returns the certificates of the authorities that sign client certificates, for
// tls.Config.ClientCAs with tls.VerifyClientCertIfGiven. It returns nil if no file is configured. Call
// it for each connection, because it reads the file again when the file has changed. The error is
// Invalid.
func (a *Access) ClientCAs() (*x509.CertPool, error) {
	if a.ca == nil {
		return nil, nil
	}
	return a.ca.pool()
}

// Still returns p with the access that it has now. A job calls it when it begins, perhaps long after
// p submitted it. The role is never higher than p.Role, and lower if the principal has a lower role by
// now. Any token of the principal counts, not only the one that p used. The error is Denied if every
// token of the principal has ended and its user is gone.
//
// Some principals cannot be checked and are returned as they are. There is no list of certificates or
// of local users, and a process without the htpasswd file does not know its users.
func (a *Access) Still(ctx context.Context, p Principal) (Principal, error) {
	if p.Via != ViaToken && (p.Via != ViaHtpasswd || a.users == nil) {
		return p, nil
	}
	now, err := a.currentRole(ctx, p.Name)
	switch {
	case err != nil:
		return Principal{}, err
	case !now.Known():
		return Principal{}, &fault.Fault{
			Kind: fault.Denied,
			Op:   p.Name + " may not act",
			Err:  errors.New("every token of this principal has ended, or its user no longer exists"),
			Hint: "create a token for the principal, and submit the request again",
		}
	case !now.Covers(p.Role):
		p.Role = now
	}
	return p, nil
}

// currentRole returns the highest role that any valid token or the user of this name has, or "" if
// there is none.
func (a *Access) currentRole(ctx context.Context, name string) (Role, error) {
	var best Role
	if a.users != nil {
		users, err := a.users.current()
		if err != nil {
			return "", err
		}
		if _, there := users[name]; there {
			best = a.roleOf(name)
		}
	}
	const query = `SELECT role FROM access_tokens WHERE principal = $1 AND revoked = 0 AND expires > $2`
	rows, err := a.db.QueryContext(ctx, query, name, store.Micros(a.now()))
	if err != nil {
		return "", dbFault("look up", "tokens of "+name, err)
	}
	defer rows.Close()
	for rows.Next() {
		var role Role
		if err := rows.Scan(&role); err != nil {
			return "", dbFault("look up", "tokens of "+name, err)
		}
		if role.Known() && !best.Covers(role) {
			best = role
		}
	}
	return best, dbFault("look up", "tokens of "+name, rows.Err())
}

// authorization holds the content of the header Authorization.
type authorization struct {
	user, secret string
	basic        bool
}

var errAuthorization = errors.New("the header Authorization is neither Basic (RFC 7617) nor Bearer (RFC 6750)")

// readAuthorization parses the header Authorization: RFC 9110 §11.6.2, RFC 7617 §2, RFC 6750 §2.1.
func readAuthorization(h string) (authorization, error) {
	scheme, rest, ok := strings.Cut(h, " ")
	rest = strings.TrimLeft(rest, " ")
	switch {
	case !ok || rest == "":
		return authorization{}, errAuthorization
	case strings.EqualFold(scheme, "bearer"):
		if strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return authorization{}, errAuthorization
		}
		return authorization{secret: rest}, nil
	case strings.EqualFold(scheme, "basic"):
		raw, err := base64.StdEncoding.DecodeString(rest)
		user, password, colon := strings.Cut(string(raw), ":")
		if err != nil || !colon {
			return authorization{}, errAuthorization
		}
		return authorization{user: user, secret: password, basic: true}, nil
	}
	return authorization{}, errAuthorization
}

// open reports whether no user, no client CA and no token exists and only this machine can reach the
// server.
func (a *Access) open(ctx context.Context) (bool, error) {
	if !a.loopback || a.users != nil || a.ca != nil {
		return false, nil
	}
	exists, err := a.anyToken(ctx)
	return !exists, err
}

// fromThisMachine reports whether a program on this machine sent r for itself. Three things must
// hold. The peer is loopback. The request names the server by a loopback name, which a web page does
// not do whose own name was rebound to 127.0.0.1. And no proxy on this machine sent r for another
// client. A proxy sets a header that isForwarded knows, except nginx with its default configuration, which
// also uses a loopback name. But nginx then uses HTTP/1.0, which no registry client uses.
func fromThisMachine(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return false
	}
	for h := range r.Header {
		if isForwarded(h) {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// isForwarded reports whether only proxies, load balancers and content delivery networks set the header h: those of RFC
// 7239, RFC 8586 and RFC 9110 §7.6.3, and by their forms those of HAProxy, Envoy, Traefik, Apache, Cloudflare, Akamai,
// Fastly, Fly.io, Azure, AWS and Google.
func isForwarded(h string) bool {
	h = strings.ToLower(h)
	switch h {
	case "via", "forwarded", "cdn-loop", "forwarded-for", "x-real-ip", "x-proxyuser-ip", "x-originating-ip":
		return true
	}
	begins := func(form string) bool { return strings.HasPrefix(h, form) }
	ends := func(form string) bool { return strings.HasSuffix(h, form) }
	return slices.ContainsFunc([]string{
		"x-forwarded", "x-original-", "x-envoy-", "x-azure-", "x-appengine-", "x-amzn-", "x-amz-cf-",
		"x-cluster-client", "x-arr-", "cf-", "fastly-", "fly-", "proxy-client",
	}, begins) || slices.ContainsFunc([]string{
		"client-ip", "client-port", "connecting-ip", "clientip", "-forwarded-for", "-remote-addr",
	}, ends)
}

// wrongLogin is the next step of somebody whose user or password is wrong. It does not say which of them is.
const wrongLogin = "correct the user and the password, or ask an admin of the server for a new password or a token"
