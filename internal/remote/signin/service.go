package signin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
)

// tokenReply is the answer of a token service.
type tokenReply struct {
	Token   string          `json:"token"`
	Access  string          `json:"access_token"`
	Refresh string          `json:"refresh_token"`
	Expires json.RawMessage `json:"expires_in"`
}

// realmHint is the hint if the address that the registry names is not that of a token service.
const realmHint = "correct the address of the token service in the registry's settings " +
	"(auth.token.realm of distribution, external_url of Harbor and GitLab), or in the proxy before it"

func (d *Desk) askToken(
	ctx context.Context, via *wire.Host, c *wire.Call, login credential.Login,
) (string, time.Duration, error) {
	reply, err := d.askService(ctx, via, c, login)
	if err != nil {
		return "", 0, err
	}
	value := reply.Access
	if reply.Token != "" {
		value = reply.Token
	}
	if value == "" || strings.ContainsAny(value, "\r\n\x00") {
		return "", 0, c.Fault(fault.Denied, realmHint, fmt.Errorf("the answer of %s contains no token", service(c)))
	}
	return value, lifeOf(value, reply.Expires, time.Now()), nil
}

// askService sends a request to a token service. It follows no redirect and reads at most 1 MiB. An
// answer that a token service does not give, such as 404 or a web page, is Refused: it says nothing
// about the login or the repository.
func (d *Desk) askService(
	ctx context.Context, via *wire.Host, c *wire.Call, login credential.Login,
) (tokenReply, error) {
	// One attempt: the request that needs the token is repeated instead.
	c.Op, c.Limit, c.Stay, c.Single = "get a token for", 1<<20, true, true
	if err := via.Pulse.Spared(via.Name); err != nil {
		return tokenReply{}, c.Named(err)
	}
	a, err := via.Exchange(ctx, c, "")
	switch {
	case reason.IsPage(err):
		return tokenReply{}, c.Fault(fault.Refused, realmHint, fmt.Errorf("a web page answers at %s", service(c)))
	case err != nil:
		return tokenReply{}, moved(c.Named(err))
	}
	if a.Status != http.StatusOK && a.Status != http.StatusCreated {
		return tokenReply{}, d.unserved(via, c, a, login)
	}
	var reply tokenReply
	if err := json.Unmarshal(a.Raw, &reply); err != nil || a.Over {
		return tokenReply{}, c.Fault(fault.Refused, realmHint, fmt.Errorf("the answer of %s is not a token", service(c)))
	}
	return reply, nil
}

// moved adds realmHint to the error of a redirect.
func moved(err error) error {
	var f *fault.Fault
	if errors.As(err, &f) && f.Kind == fault.Refused && fault.HintOf(err) == "" {
		g := *f
		g.Hint = realmHint
		return &g
	}
	return err
}

// unserved turns an answer other than 200 of a token service into an error.
func (d *Desk) unserved(via *wire.Host, c *wire.Call, a *wire.Answer, login credential.Login) error {
	var f *fault.Fault
	if !errors.As(via.Refusal(c, a), &f) {
		return c.Fault(fault.Internal, "", errors.New("the refusal of the token service has no kind"))
	}
	code, text := a.Problem()
	said := strings.Trim(code+": "+text, ": ")
	switch {
	case isPage(a) && f.Kind != fault.Denied:
		said = http.StatusText(a.Status) + ", with a web page"
	case said == "":
		said = http.StatusText(a.Status)
	}
	f.Err = fmt.Errorf("%s answers %d %s", service(c), a.Status, said)
	switch {
	case f.Kind == fault.Throttled, f.Kind == fault.Unavailable, a.Status == http.StatusProxyAuthRequired:
	case a.Status == http.StatusBadRequest && !isPage(a) && (login.IsAnonymous() || a.Says(requestErrors()...)):
		f.Kind = fault.Invalid
		f.Hint = "check the name of the repository, or " + d.host.SignInHint()
		if !login.IsAnonymous() {
			f.Hint = "check the name of the repository, and whether this registry serves it"
		}
		f.Err = fmt.Errorf("%w; %s", f.Err, reason.Whose(d.host.Name, login))
	case f.Kind == fault.Denied, a.Status == http.StatusBadRequest && !isPage(a):
		// Token services answer 400 to a login that they cannot parse, and invalid_grant to a wrong one.
		f.Kind, f.Hint = fault.Denied, product.Remedy(d.host.Name, d.host.SignInHint(), login)
		f.Err = fmt.Errorf("%w; %s", f.Err, reason.Whose(d.host.Name, login))
	default:
		f.Kind, f.Hint = fault.Refused, realmHint
	}
	return f
}

// requestErrors returns the codes with which a token service refuses what is asked for, and not the
// login: RFC 6749 §5.2.
func requestErrors() []string {
	return []string{"invalid_request", "invalid_scope", "unsupported_grant_type"}
}

// service names the token service that c was sent to, in errors.
func service(c *wire.Call) string {
	return "the token service " + c.URL.Host + reason.Clean(c.URL.EscapedPath())
}

// isPage reports whether an answer is a web page.
func isPage(a *wire.Answer) bool {
	return strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") ||
		bytes.HasPrefix(bytes.TrimSpace(a.Raw), []byte("<"))
}

// lifeOf returns how long a token is used: for the lifetime that the service states, or else until
// the token's own exp, or else for 60 s (distribution's token specification). The result is at
// least 30 s and at most an hour. Lifetimes count from the time of arrival, because the service's
// clock may be wrong.
func lifeOf(value string, expires json.RawMessage, now time.Time) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(expires), `"`), 64)
	if err != nil {
		seconds = 60
		if exp := expOf(value); exp > 0 {
			seconds = exp - float64(now.Unix())
		}
	}
	if !(seconds > 30) {
		return 30 * time.Second
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}

// expOf returns the exp claim of a JWT (RFC 7519 §4.1.4), or 0 if value is not a JWT.
func expOf(value string) float64 {
	parts := strings.Split(value, ".")
	if len(parts) != 3 {
		return 0
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return 0
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(raw, &claims) != nil {
		return 0
	}
	return claims.Exp
}
