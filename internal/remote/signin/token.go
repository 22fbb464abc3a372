package signin

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/ref"
)

// tokenServices maps registries to hosts that are known to issue their tokens.
var tokenServices = map[string]string{
	"docker.io":                 "auth.docker.io",
	"registry.gitlab.com":       "gitlab.com",
	"docker.elastic.co":         "docker-auth.elastic.co",
	"registry.digitalocean.com": "api.digitalocean.com",
}

// Issuers returns the hosts, besides the registry at host itself, that may receive its login because
// they issue its tokens: those that are known and those of the settings.
func Issuers(host string, set credential.Settings) []string {
	if known := tokenServices[host]; known != "" {
		return append([]string{known}, set.TokenHosts...)
	}
	return set.TokenHosts
}

// realm is the URL of a token service, and the host whose connections reach it.
type realm struct {
	url *url.URL
	via *wire.Host
}

// realm returns the token service of a challenge. The login is sent only to the registry's own
// origin, to a known token service of the registry, or to a host in TokenHosts. Any other token
// service gets only requests without a login.
func (d *Desk) realm(ctx context.Context, ch Challenge, login credential.Login) (realm, error) {
	origin, err := d.host.Origin(ctx)
	if err != nil {
		return realm{}, err
	}
	u, err := wire.ParseLocation(origin, ch.params["realm"])
	if err == nil {
		u = wire.AtHome(origin, u)
	}
	switch {
	case err != nil || ch.params["realm"] == "":
		return realm{}, d.host.Fail(fault.Refused, realmHint, "the registry names a token service with an invalid address")
	case origin.Scheme == "https" && u.Scheme != "https":
		return realm{}, d.host.Fail(fault.Refused, product.AddressHint, "the token service %s does not use TLS", u.Host)
	case wire.SameOrigin(u, origin):
		return realm{u, d.host}, nil
	case d.vouchesFor(u):
		if name, err := ref.Host(u.Host); err == nil {
			return realm{u, d.peer(name)}, nil
		}
	case !login.IsAnonymous():
		return realm{}, d.host.Fail(fault.Refused, "if you trust that host, add it to token-hosts of this registry",
			"the token service is on another host, %s, and the login is not sent there", u.Host)
	}
	if u, err = d.host.Located(origin, origin, u.String()); err != nil {
		return realm{}, err
	}
	return realm{u, d.host}, nil
}

// vouchesFor reports whether u is a token service that the login may be sent to.
func (d *Desk) vouchesFor(u *url.URL) bool {
	if known := tokenServices[d.host.Name]; known != "" && u.Host == known && u.Scheme == "https" {
		return true
	}
	return slices.ContainsFunc(d.host.Set.TokenHosts, func(s string) bool {
		return wire.SameHost(u, &url.URL{Scheme: u.Scheme, Host: s})
	})
}

// good reports whether the token is valid for long enough: for a quarter of its lifetime, or for
// half of it if the request has a long body.
func (t *tokenCell) good(now time.Time, c *wire.Call) bool {
	life := t.ends.Sub(t.got)
	keep := life / 4
	if c.Size >= longBody {
		keep = life / 2
	}
	return t.value != "" && t.ends.Sub(now) > keep
}

// longBody is the size in bytes from which a request may last longer than a token: 16 MiB.
const longBody = 16 << 20

// token returns a token that covers the call's scopes and differs from old. It fetches one if
// necessary.
func (d *Desk) token(
	ctx context.Context, c *wire.Call, ch *Challenge, login credential.Login, old string,
) (string, error) {
	scopes := c.Access.Wanted()
	service := ch.params["realm"] + " " + ch.params["service"]
	key := tokenKey{login.Scheme, login.User, login.Password, service, strings.Join(scopes, " ")}
	d.mu.Lock()
	cell, ok := d.tokens[key]
	if !ok {
		cell = &tokenCell{turn: make(limit.Gate, 1)}
		d.tokens[key] = cell
	}
	d.mu.Unlock()
	if err := cell.turn.Enter(ctx); err != nil {
		return "", c.Stopped(ctx, err)
	}
	defer cell.turn.Leave()
	if cell.value != old && cell.good(time.Now(), c) {
		return cell.value, nil
	}
	at, err := d.realm(ctx, *ch, login)
	if err != nil {
		return "", c.Named(err)
	}
	value, life, err := d.fetchToken(ctx, c, at, ch, login, scopes)
	if err != nil {
		return "", c.Named(err)
	}
	cell.value, cell.got = value, time.Now()
	cell.ends = cell.got.Add(life)
	return value, nil
}

// fetchToken requests a token in the way that the login's scheme needs: GET with Basic
// (distribution's token specification) for a user and password, POST for a refresh token (the
// OAuth2 form of that specification), and for an Entra token ACR's exchange first.
func (d *Desk) fetchToken(
	ctx context.Context, c *wire.Call, at realm, ch *Challenge, login credential.Login, scopes []string,
) (string, time.Duration, error) {
	form := url.Values{}
	if s := ch.params["service"]; s != "" {
		form.Set("service", s)
	}
	if login.Scheme == credential.Basic {
		for _, s := range scopes {
			form.Add("scope", s)
		}
		header := http.Header{}
		if !login.IsAnonymous() {
			header.Set("Authorization", Basic(login))
		}
		return d.askToken(ctx, at.via, &wire.Call{Name: c.Name, Observe: c.Observe, Late: c.Late, Patience: c.Patience,
			Method: http.MethodGet, URL: wire.WithQuery(at.url, form.Encode()), Header: header}, login)
	}
	refresh := login.Password.Reveal()
	if login.Scheme == credential.Exchange {
		var err error
		if refresh, err = d.trade(ctx, c, ch, login); err != nil {
			return "", 0, err
		}
	}
	form.Set("grant_type", "refresh_token")
	form.Set("client_id", "dray")
	form.Set("scope", strings.Join(scopes, " "))
	form.Set("refresh_token", refresh)
	return d.askToken(ctx, at.via, post(c, at.url, form, "refresh_token"), login)
}

// post returns a request that sends a form. secret is the field that holds a secret.
func post(c *wire.Call, to *url.URL, form url.Values, secret string) *wire.Call {
	text := form.Encode()
	return &wire.Call{Secrets: form[secret], Name: c.Name, Observe: c.Observe, Late: c.Late, Patience: c.Patience,
		Method: http.MethodPost, URL: to,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		}, Size: int64(len(text))}
}

// trade exchanges an Entra token for a refresh token at the registry's own /oauth2/exchange, once
// per login.
func (d *Desk) trade(ctx context.Context, c *wire.Call, ch *Challenge, login credential.Login) (string, error) {
	key := tokenKey{scheme: login.Scheme, password: login.Password}
	d.mu.Lock()
	refresh := d.traded[key]
	d.mu.Unlock()
	if refresh != "" {
		return refresh, nil
	}
	origin, err := d.host.Origin(ctx)
	if err != nil {
		return "", err
	}
	origin.Path = "/oauth2/exchange"
	service := ch.params["service"]
	if service == "" {
		service = d.host.Name
	}
	ask := func(entra credential.Secret) (tokenReply, error) {
		return d.askService(ctx, d.host, post(c, origin, url.Values{
			"grant_type": {"access_token"}, "service": {service}, "access_token": {entra.Reveal()}}, "access_token"), login)
	}
	reply, err := ask(login.Password)
	if fault.Is(err, fault.Denied) {
		// Some registries accept only the token for Azure's resource manager.
		if again, ok, ferr := login.Fallback(ctx); ferr == nil && ok {
			reply, err = ask(again.Password)
		}
	}
	if err != nil {
		return "", err
	}
	if reply.Refresh == "" {
		return "", d.host.Fail(fault.Denied, "", "the token exchange returned no refresh token")
	}
	d.mu.Lock()
	d.traded[key] = reply.Refresh
	d.mu.Unlock()
	return reply.Refresh, nil
}
