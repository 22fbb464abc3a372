package signin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
)

// acquainted reports whether it is known which login calls of this class need.
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

// Meet waits until c may be sent. While it is unknown which login the host requires, only one
// request at a time is sent; leave lets the next one proceed.
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

// Met records that a request of c's class was answered.
func (d *Desk) Met(c *wire.Call, authz string, a *wire.Answer) {
	d.first.once[c.Class()].Do(func() { close(d.first.done[c.Class()]) })
	if authz == "" && c.Class() == 0 && a.Status < 400 {
		d.mu.Lock()
		d.openRead = true
		d.mu.Unlock()
	}
}

// Authorization returns the Authorization header for a call, or "" if the registry has not asked
// for one. old is a token that the registry has rejected; "" means none.
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

// Challenged handles a 401. It returns the Authorization header to send instead of sent, or an
// error if there is no better one. refused is the number of logins that were rejected in this
// attempt: a token is renewed only once.
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
	if err := d.learn(ctx, offered, login); err != nil {
		return "", c.Named(err)
	}
	if missing := missingScope(offered, c.Access, sent); missing != "" {
		return "", c.Fault(fault.Denied,
			product.GrantHint(d.host.Name, d.host.SignInHint(), login, product.Needed(d.host.Product(), c.Method)),
			fmt.Errorf("the token lacks %s; %s", missing, reason.Whose(d.host.Name, login)))
	}
	old, isToken := strings.CutPrefix(sent, "Bearer ")
	if refused > 0 || sent != "" && (!isToken || login.Scheme == credential.Bearer) {
		return "", d.denied(c, a)
	}
	next, err := d.Authorization(ctx, c, old)
	if err != nil {
		return "", err
	}
	if next == "" || next == sent {
		return "", d.denied(c, a)
	}
	return next, nil
}

// Forbidden handles a 403 to a request without a login. Some registries, and some proxies in front of
// them, ask for a login at the root of the API only. Forbidden asks there once. It returns the
// Authorization header to send, or "" if there is none.
func (d *Desk) Forbidden(ctx context.Context, c *wire.Call, a *wire.Answer) (string, error) {
	d.mu.Lock()
	known := d.known != nil || d.silent
	d.mu.Unlock()
	if _, text := a.Problem(); known || product.Firewalled(a.Status, text) {
		return "", nil
	}
	offered := ParseChallenges(a.Header)
	if len(offered) == 0 {
		var err error
		if offered, err = d.ping(ctx, c); err != nil {
			return "", err
		}
	}
	if len(offered) == 0 {
		d.mu.Lock()
		d.silent = true
		d.mu.Unlock()
		return "", nil
	}
	login, err := c.Access.Who(ctx)
	if err != nil {
		return "", err
	}
	if err := d.learn(ctx, offered, login); err != nil {
		return "", c.Named(err)
	}
	return d.Authorization(ctx, c, "")
}

// learn remembers the strongest of the challenges that the host offers, if there are any.
func (d *Desk) learn(ctx context.Context, offered []Challenge, login credential.Login) error {
	if len(offered) == 0 {
		return nil
	}
	ch, err := d.strongest(ctx, offered, login)
	if err != nil {
		return err
	}
	d.recognize(offered)
	d.mu.Lock()
	d.known = ch
	d.mu.Unlock()
	return nil
}

func (d *Desk) denied(c *wire.Call, a *wire.Answer) error {
	code, text := a.Problem()
	err := d.host.Refused(c, a, reason.Quote(a.Status, code, text))
	return c.Fault(fault.Denied, d.host.DeniedHint(c, a), unauthorized{err})
}

// missingScope returns a scope that was requested with the token in sent but that the token service
// did not grant. If the challenge names a scope that was not requested yet, it adds that scope to
// the next token and returns "".
func missingScope(offered []Challenge, who *wire.Access, sent string) string {
	if !strings.HasPrefix(sent, "Bearer ") {
		return ""
	}
	for _, ch := range offered {
		if ch.Scheme != "bearer" {
			continue
		}
		missing := ""
		for scope := range strings.FieldsSeq(ch.params["scope"]) {
			if scope == "*" || len(scope) > 512 {
				continue
			}
			if who.Covers(scope) {
				missing = reason.Clean(scope)
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

// PingPath is the root of the API. A request to it returns the challenge.
const PingPath = "/v2/"

// ping requests the challenge that a 401 left out, as the answers of gcr.io do, or a 403.
func (d *Desk) ping(ctx context.Context, c *wire.Call) ([]Challenge, error) {
	origin, err := d.host.Origin(ctx)
	if err != nil {
		return nil, err
	}
	origin.Path = PingPath
	ping := &wire.Call{
		Op:      c.Op,
		Name:    c.Name,
		Method:  http.MethodGet,
		URL:     origin,
		Observe: c.Observe,
	}
	a, err := d.host.Exchange(ctx, ping, "")
	if err != nil {
		return nil, err
	}
	return ParseChallenges(a.Header), nil
}

// strongest chooses among the challenges that a registry offers. It prefers a token to a password,
// if the login may be sent to the token service.
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
	return nil, d.host.Fail(fault.Denied,
		"ask the operator of the registry for a login with a user and a password (Basic) or a token (Bearer)",
		"the registry offers no supported way to log in: %s",
		reason.Clean(offered[0].Scheme))
}

// recognize learns the kind of the registry from its challenges. They reveal Harbor and Quay under
// any host name, and ACR behind a custom domain.
func (d *Desk) recognize(offered []Challenge) {
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
