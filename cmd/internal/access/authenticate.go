package access

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// Challenge is the value of WWW-Authenticate for a 401.
const Challenge = `Basic realm="dray", charset="UTF-8"`

// Authenticate finds who r comes from. A token is taken as Bearer, or as the password of any
// user in Basic; what Issue made is taken as a token is. Authorization goes before a client
// certificate, and where either is wrong nothing else is tried.
//
// The error is Denied, for a 401 with Challenge, or Unavailable when the database could not be
// asked: nobody is let in then. Without credentials it is Anonymous where a rule names it.
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
		return Principal{}, denied("more than one Authorization", "")
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
	if open {
		return Principal{}, denied("nobody is configured, and this did not come directly from the server's own machine", "make a token: dray serve token create")
	}
	return Principal{}, denied("no credentials", "give a token as Bearer, or as the password of any user")
}

// Identify finds the principal of a user and a secret as Basic would carry them; a secret that
// is a token needs no user. Errors are those of Authenticate.
func (a *Access) Identify(ctx context.Context, user, secret string) (Principal, error) {
	return a.identify(ctx, authorization{user: user, secret: secret, basic: true})
}

func (a *Access) identify(ctx context.Context, p authorization) (Principal, error) {
	switch {
	case strings.HasPrefix(p.secret, tokenPrefix):
		return a.byToken(ctx, p.secret)
	case strings.Count(p.secret, ".") == 2 && strings.HasPrefix(p.secret, sessionHeader+"."):
		return a.bySession(ctx, p.secret)
	case p.basic && a.users != nil:
		if checkName(p.user) != nil {
			return Principal{}, denied("wrong user or password", "")
		}
		ok, err := a.users.verify(ctx, p.user, p.secret)
		if err != nil {
			return Principal{}, err
		}
		if !ok {
			return Principal{}, denied("wrong user or password", "")
		}
		return Principal{Name: p.user, Role: a.roleOf(p.user), Via: ViaHtpasswd}, nil
	}
	return Principal{}, denied("these credentials are not known here", "")
}

// byCertificate takes the name of a certificate that TLS has verified: the first URI of its
// alternative names, else the first e-mail address, else the common name.
func (a *Access) byCertificate(cert *x509.Certificate) (Principal, error) {
	name := cert.Subject.CommonName
	switch {
	case len(cert.URIs) > 0:
		name = cert.URIs[0].String()
	case len(cert.EmailAddresses) > 0:
		name = cert.EmailAddresses[0]
	}
	if err := checkName(name); err != nil {
		return Principal{}, denied("the client certificate names nobody: "+err.Error(), "it needs a URI, an e-mail address or a common name")
	}
	return Principal{Name: name, Role: a.roleOf(name), Via: ViaCertificate, until: cert.NotAfter}, nil
}

// ClientCAs are the certificates that sign clients', for tls.Config.ClientCAs with
// tls.VerifyClientCertIfGiven; nil when clients have none. Ask for each connection: the file
// is read again when it changed. The error is Invalid.
func (a *Access) ClientCAs() (*x509.CertPool, error) {
	if a.ca == nil {
		return nil, nil
	}
	return a.ca.pool()
}

// Still is p, who asked for something once, as it stands now, when that begins: with p.Role at
// most, and with less where less is left of it. A token gives way to another of the same
// principal. The error is Denied where p is nobody any more: every token of it has ended, or its
// user is gone. Of certificates, and of who came from this machine, nobody keeps a list, and of
// users none but processes with the file: those are what they were.
func (a *Access) Still(ctx context.Context, p Principal) (Principal, error) {
	if p.Via != ViaToken && (p.Via != ViaHtpasswd || a.users == nil) {
		return p, nil
	}
	now, err := a.currentRole(ctx, p.Name)
	switch {
	case err != nil:
		return Principal{}, err
	case !now.Known():
		return Principal{}, &fault.Fault{Kind: fault.Denied, Op: "allow " + p.Name, Err: errors.New("every token of it has ended, or its user is gone"),
			Hint: "make a token for it, and ask again"}
	case !now.Covers(p.Role):
		p.Role = now
	}
	return p, nil
}

// currentRole is the greatest role that a token or the user of this name has; "" is none.
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
	rows, err := a.db.QueryContext(ctx, `SELECT role FROM access_tokens WHERE principal = $1 AND revoked = 0 AND expires > $2`, name, store.Micros(a.now()))
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

// authorization is what a request shows in its Authorization.
type authorization struct {
	user, secret string
	basic        bool
}

var errAuthorization = errors.New("the Authorization is not Basic or Bearer as RFC 7617 and RFC 6750 write them")

// readAuthorization takes the header apart: RFC 9110 §11.6.2, RFC 7617 §2, RFC 6750 §2.1.
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

// open reports whether nobody is configured and only this machine can reach the server.
func (a *Access) open(ctx context.Context) (bool, error) {
	if !a.loopback || a.users != nil || a.ca != nil {
		return false, nil
	}
	any, err := a.anyToken(ctx)
	return !any, err
}

// fromThisMachine reports whether r was sent by a program on this machine for itself: the peer is
// loopback, it calls the server by a loopback name (a page whose own name was rebound to
// 127.0.0.1 does not), and no proxy on this machine brings it for somebody else. nginx as it
// comes says none of that, and calls the server by the loopback name of its configuration; but it
// speaks HTTP/1.0, as nothing does that is made to talk to a registry.
func fromThisMachine(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return false
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server", "X-Real-Ip", "X-Original-Forwarded-For", "Via"} {
		if r.Header.Get(h) != "" {
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
