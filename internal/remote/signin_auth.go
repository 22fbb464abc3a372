package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

// acquainted reports whether it is known what a call of this class needs.
func (d *desk) acquainted(class int) bool {
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

// meet waits for this call's turn. leave lets the next go.
func (d *desk) meet(ctx context.Context, c *call) (leave func(), err error) {
	if d.acquainted(c.class()) {
		return func() {}, nil
	}
	select {
	case <-d.first.done[c.class()]:
		return func() {}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case d.first.turn <- struct{}{}:
	}
	if d.acquainted(c.class()) {
		d.first.turn.leave()
		return func() {}, nil
	}
	return d.first.turn.leave, nil
}

// met notes that a request of this class got through.
func (d *desk) met(c *call, authz string, a *answer) {
	d.first.once[c.class()].Do(func() { close(d.first.done[c.class()]) })
	if authz == "" && c.class() == 0 && a.status < 400 {
		d.mu.Lock()
		d.openRead = true
		d.mu.Unlock()
	}
}

// authorization returns the header that a call carries: nothing before a
// registry asked for it. old is a token that was refused.
func (d *desk) authorization(ctx context.Context, c *call, old string) (string, error) {
	d.mu.Lock()
	ch, open := d.known, d.openRead
	d.mu.Unlock()
	if ch == nil {
		return "", nil
	}
	login, err := c.access.who(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case login.IsAnonymous() && (ch.scheme == "basic" || open && c.class() == 0 && old == ""):
		return "", nil
	case login.Scheme == credential.Bearer:
		return "Bearer " + login.Password.Reveal(), nil
	case ch.scheme == "basic":
		return basic(login), nil
	}
	token, err := d.token(ctx, c, ch, login, old)
	if err != nil {
		return "", err
	}
	return "Bearer " + token, nil
}

// challenged answers a 401: it returns what to send instead, or the error when
// nothing better can be sent. refused is how often a login was refused in this
// try: a token is renewed once.
func (d *desk) challenged(ctx context.Context, c *call, a *answer, sent string, refused int) (string, error) {
	login, err := c.access.who(ctx)
	if err != nil {
		return "", err
	}
	offered := parseChallenges(a.header)
	if len(offered) == 0 && sent == "" && c.path != pingPath {
		if offered, err = d.ping(ctx, c); err != nil {
			return "", err
		}
	}
	if len(offered) > 0 {
		ch, err := d.strongest(ctx, offered, login)
		if err != nil {
			return "", c.named(err)
		}
		d.recognise(offered)
		d.mu.Lock()
		d.known = ch
		d.mu.Unlock()
	}
	if missing := missingScope(offered, c.access, sent); missing != "" {
		return "", c.fault(fault.Denied, signInHint(d.host.name), fmt.Errorf("the token of %s lacks %s", whose(login), missing))
	}
	old, isToken := strings.CutPrefix(sent, "Bearer ")
	if refused > 0 || sent != "" && (!isToken || login.Scheme == credential.Bearer) {
		return "", d.denied(c, a, login)
	}
	next, err := d.authorization(ctx, c, old)
	if err != nil {
		return "", err
	}
	if next == "" || next == sent {
		return "", d.denied(c, a, login)
	}
	return next, nil
}

func (d *desk) denied(c *call, a *answer, login credential.Login) error {
	code, text := a.problem()
	if text == "" && code == "" {
		text = "no access for " + whose(login)
	}
	return c.fault(fault.Denied, d.host.deniedHint(c, a), unauthorized{quote(a.status, code, text)})
}

// whose names a login without showing any of it but the user.
func whose(l credential.Login) string {
	switch {
	case l.IsAnonymous():
		return "anonymous users"
	case l.User != "":
		return clean(l.User)
	}
	return "this login"
}

// missingScope names the scope that a token lacks for good: it was asked for
// and not given. One that was not asked for yet is added to the next token.
func missingScope(offered []challenge, who *access, sent string) string {
	if !strings.HasPrefix(sent, "Bearer ") {
		return ""
	}
	for _, ch := range offered {
		if ch.scheme != "bearer" {
			continue
		}
		missing := ""
		for _, scope := range strings.Fields(ch.params["scope"]) {
			if scope == "*" || len(scope) > 512 {
				continue
			}
			if who.covers(scope) {
				missing = clean(scope)
				continue
			}
			who.need(scope)
			return ""
		}
		if ch.params["error"] == "insufficient_scope" {
			return missing
		}
	}
	return ""
}

const pingPath = "/v2/"

// ping asks for the challenge that a 401 left out, as gcr.io's do.
func (d *desk) ping(ctx context.Context, c *call) ([]challenge, error) {
	origin, err := d.host.origin(ctx)
	if err != nil {
		return nil, err
	}
	origin.Path = pingPath
	a, err := d.host.exchange(ctx, &call{op: c.op, name: c.name, method: http.MethodGet, url: origin, observe: c.observe}, "")
	if err != nil {
		return nil, err
	}
	return parseChallenges(a.header), nil
}

// strongest chooses among what a registry offers: a token before a password,
// as long as the token service may be told the login.
func (d *desk) strongest(ctx context.Context, offered []challenge, login credential.Login) (*challenge, error) {
	var refused error
	for _, ch := range offered {
		if ch.scheme != "bearer" {
			continue
		}
		if _, err := d.realm(ctx, ch, login); err != nil && login.Scheme != credential.Bearer {
			refused = err
			continue
		}
		return &ch, nil
	}
	for _, ch := range offered {
		if ch.scheme == "basic" {
			return &ch, nil
		}
	}
	if refused != nil {
		return nil, refused
	}
	return nil, d.host.fail(fault.Denied, "", "%w: %s", errors.New("it offers no way to sign in that is known"), clean(offered[0].scheme))
}

// recognise learns the kind from a challenge: Harbor and Quay under names of
// their own, and ACR behind a custom domain, show themselves there.
func (d *desk) recognise(offered []challenge) {
	for _, ch := range offered {
		realm, err := url.Parse(ch.params["realm"])
		if err != nil || ch.scheme != "bearer" {
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
			d.host.show(kind)
		}
	}
}
