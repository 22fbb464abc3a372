package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/wire"
)

// acquainted reports whether it is known what a call of this class needs.
func (d *Desk) acquainted(class int) bool {
	d.mu.Lock()
	known := d.known != nil
	d.mu.Unlock()
	if known {
		return true
	}
	select {
	case <-d.first.done[class]:
		return true
	default:
		return false
	}
}

// Meet waits for this call's turn. leave lets the next go.
func (d *Desk) Meet(ctx context.Context, c *wire.Call) (leave func(), err error) {
	if d.acquainted(c.Class()) {
		return func() {}, nil
	}
	select {
	case <-d.first.done[c.Class()]:
		return func() {}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case d.first.turn <- struct{}{}:
	}
	if d.acquainted(c.Class()) {
		d.first.turn.Leave()
		return func() {}, nil
	}
	return d.first.turn.Leave, nil
}

// Met notes that a request of this class got through.
func (d *Desk) Met(c *wire.Call, authz string, a *wire.Answer) {
	d.first.once[c.Class()].Do(func() { close(d.first.done[c.Class()]) })
	if authz == "" && c.Class() == 0 && a.Status < 400 {
		d.mu.Lock()
		d.openRead = true
		d.mu.Unlock()
	}
}

// Authorization returns the header that a call carries: nothing before a
// registry asked for it. old is a token that was refused.
func (d *Desk) Authorization(ctx context.Context, c *wire.Call, old string) (string, error) {
	d.mu.Lock()
	ch, open := d.known, d.openRead
	d.mu.Unlock()
	if ch == nil {
		return "", nil
	}
	login, err := c.Access.Who(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case login.IsAnonymous() && (ch.Scheme == "basic" || open && c.Class() == 0 && old == ""):
		return "", nil
	case login.Scheme == credential.Bearer:
		return "Bearer " + login.Password.Reveal(), nil
	case ch.Scheme == "basic":
		return Basic(login), nil
	}
	token, err := d.token(ctx, c, ch, login, old)
	if err != nil {
		return "", err
	}
	return "Bearer " + token, nil
}

// Challenged answers a 401: it returns what to send instead, or the error when
// nothing better can be sent. refused is how often a login was refused in this
// try: a token is renewed once.
func (d *Desk) Challenged(ctx context.Context, c *wire.Call, a *wire.Answer, sent string, refused int) (string, error) {
	login, err := c.Access.Who(ctx)
	if err != nil {
		return "", err
	}
	offered := ParseChallenges(a.Header)
	if len(offered) == 0 && sent == "" && c.Path != PingPath {
		if offered, err = d.ping(ctx, c); err != nil {
			return "", err
		}
	}
	if len(offered) > 0 {
		ch, err := d.strongest(ctx, offered, login)
		if err != nil {
			return "", c.Named(err)
		}
		d.recognise(offered)
		d.mu.Lock()
		d.known = ch
		d.mu.Unlock()
	}
	if missing := missingScope(offered, c.Access, sent); missing != "" {
		return "", c.Fault(fault.Denied, product.SignInHint(d.host.Name), fmt.Errorf("the token of %s lacks %s", whose(login), missing))
	}
	old, isToken := strings.CutPrefix(sent, "Bearer ")
	if refused > 0 || sent != "" && (!isToken || login.Scheme == credential.Bearer) {
		return "", d.denied(c, a, login)
	}
	next, err := d.Authorization(ctx, c, old)
	if err != nil {
		return "", err
	}
	if next == "" || next == sent {
		return "", d.denied(c, a, login)
	}
	return next, nil
}

func (d *Desk) denied(c *wire.Call, a *wire.Answer, login credential.Login) error {
	code, text := a.Problem()
	if text == "" && code == "" {
		text = "no access for " + whose(login)
	}
	return c.Fault(fault.Denied, d.host.DeniedHint(c, a), unauthorized{wire.Quote(a.Status, code, text)})
}

// whose names a login without showing any of it but the user.
func whose(l credential.Login) string {
	switch {
	case l.IsAnonymous():
		return "anonymous users"
	case l.User != "":
		return wire.Clean(l.User)
	}
	return "this login"
}

// missingScope names the scope that a token lacks for good: it was asked for
// and not given. One that was not asked for yet is added to the next token.
func missingScope(offered []Challenge, who *wire.Access, sent string) string {
	if !strings.HasPrefix(sent, "Bearer ") {
		return ""
	}
	for _, ch := range offered {
		if ch.Scheme != "bearer" {
			continue
		}
		missing := ""
		for _, scope := range strings.Fields(ch.params["scope"]) {
			if scope == "*" || len(scope) > 512 {
				continue
			}
			if who.Covers(scope) {
				missing = wire.Clean(scope)
				continue
			}
			who.Need(scope)
			return ""
		}
		if ch.params["error"] == "insufficient_scope" {
			return missing
		}
	}
	return ""
}

// PingPath is the root of the API, which asks who is there.
const PingPath = "/v2/"

// ping asks for the challenge that a 401 left out, as gcr.io's do.
func (d *Desk) ping(ctx context.Context, c *wire.Call) ([]Challenge, error) {
	origin, err := d.host.Origin(ctx)
	if err != nil {
		return nil, err
	}
	origin.Path = PingPath
	a, err := d.host.Exchange(ctx, &wire.Call{Op: c.Op, Name: c.Name, Method: http.MethodGet, URL: origin, Observe: c.Observe}, "")
	if err != nil {
		return nil, err
	}
	return ParseChallenges(a.Header), nil
}

// strongest chooses among what a registry offers: a token before a password,
// as long as the token service may be told the login.
func (d *Desk) strongest(ctx context.Context, offered []Challenge, login credential.Login) (*Challenge, error) {
	var refused error
	for _, ch := range offered {
		if ch.Scheme != "bearer" {
			continue
		}
		if _, err := d.realm(ctx, ch, login); err != nil && login.Scheme != credential.Bearer {
			refused = err
			continue
		}
		return &ch, nil
	}
	for _, ch := range offered {
		if ch.Scheme == "basic" {
			return &ch, nil
		}
	}
	if refused != nil {
		return nil, refused
	}
	return nil, d.host.Fail(fault.Denied, "", "%w: %s", errors.New("it offers no way to sign in that is known"), wire.Clean(offered[0].Scheme))
}

// recognise learns the kind from a challenge: Harbor and Quay under names of
// their own, and ACR behind a custom domain, show themselves there.
func (d *Desk) recognise(offered []Challenge) {
	for _, ch := range offered {
		realm, err := url.Parse(ch.params["realm"])
		if err != nil || ch.Scheme != "bearer" {
			continue
		}
		kind := ""
		switch {
		case ch.params["service"] == "harbor-registry":
			kind = "harbor"
		case strings.HasSuffix(realm.Hostname(), ".azurecr.io") && realm.Path == "/oauth2/token":
			kind = "acr"
		case realm.Path == "/v2/auth" && ch.params["service"] == realm.Host:
			kind = "quay"
		}
		if kind != "" {
			d.host.Show(kind)
		}
	}
}
