package access

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/drayage/dray/fault"
)

// Challenge is the value of WWW-Authenticate for a 401.
const Challenge = `Basic realm="dray", charset="UTF-8"`

// presented is what a request shows in its Authorization.
type presented struct {
	user, secret string
	basic        bool
}

var errAuthorization = errors.New("the Authorization is not Basic or Bearer as RFC 7617 and RFC 6750 write them")

// readAuthorization takes the header apart: RFC 9110 §11.6.2, RFC 7617 §2, RFC 6750 §2.1.
func readAuthorization(h string) (presented, error) {
	scheme, rest, ok := strings.Cut(h, " ")
	rest = strings.TrimLeft(rest, " ")
	switch {
	case !ok || rest == "":
		return presented{}, errAuthorization
	case strings.EqualFold(scheme, "bearer"):
		if strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return presented{}, errAuthorization
		}
		return presented{secret: rest}, nil
	case strings.EqualFold(scheme, "basic"):
		raw, err := base64.StdEncoding.DecodeString(rest)
		user, password, colon := strings.Cut(string(raw), ":")
		if err != nil || !colon {
			return presented{}, errAuthorization
		}
		return presented{user: user, secret: password, basic: true}, nil
	}
	return presented{}, errAuthorization
}

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
	if open && fromHere(r) {
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
		return a.known(ctx, shown)
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
	return a.known(ctx, presented{user: user, secret: secret, basic: true})
}

func (a *Access) known(ctx context.Context, p presented) (Principal, error) {
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

// open reports whether nobody is configured and only this machine can reach the server.
func (a *Access) open(ctx context.Context) (bool, error) {
	if !a.loopback || a.users != nil || a.ca != nil {
		return false, nil
	}
	any, err := a.anyToken(ctx)
	return !any, err
}

// fromHere reports whether r was sent by a program on this machine for itself: the peer is
// loopback, it calls the server by a loopback name (a page whose own name was rebound to
// 127.0.0.1 does not), and no proxy on this machine brings it for somebody else. nginx as it
// comes says none of that, and calls the server by the loopback name of its configuration; but it
// speaks HTTP/1.0, as nothing does that is made to talk to a registry.
func fromHere(r *http.Request) bool {
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

func (a *Access) grantsAnonymous() bool {
	return slices.ContainsFunc(a.rules, func(r rule) bool { return slices.Contains(r.Principals, Anonymous) })
}

func denied(cause, hint string) error {
	return &fault.Fault{Kind: fault.Denied, Op: "authenticate", Hint: hint, Err: errors.New(cause)}
}
