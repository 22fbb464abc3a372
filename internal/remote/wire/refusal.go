package wire

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/product"
)

// proxyHint is the hint if a proxy requires a login, either by an answer or by refusing to connect.
const proxyHint = "put the user and the password into the URL of the proxy"

// Refusal turns an unexpected answer into an error of the Kind that its status and code mean
// (distribution-spec v1.1.1 §Error Codes).
func (h *Host) Refusal(c *Call, a *Answer) error {
	code, text := a.Problem()
	f := &fault.Fault{Kind: KindOf(a.Status, code, text), Op: c.Op, Name: c.Name, Err: Quote(a.Status, code, text)}
	if f.Kind == fault.Full && c.Class() == 0 {
		f.Kind = KindOf(a.Status, "", "") // a read fills nothing: the quota is another one
	}
	if saysAbsent(a.Status, code) {
		f.Err = absent{f.Err}
	}
	switch {
	case a.Away && a.Status == http.StatusForbidden && c.Lane == Down:
		f.Kind = fault.Unavailable // the signature of a redirect has expired; the registry writes a new one
	case f.Kind == fault.Throttled, a.Status == http.StatusServiceUnavailable:
		f.RetryAfter = limit.ParseRetryAfter(a.Header.Get("Retry-After"), time.Now())
	case f.Kind == fault.Full:
		f.Hint = product.FullHint(h.Product(), h.Name)
	case a.Status == http.StatusProxyAuthRequired:
		f.Hint = proxyHint
	case f.Kind == fault.Denied:
		f.Hint, f.Err = h.DeniedHint(c, a), h.Refused(c, a, f.Err)
	case a.Status == http.StatusUnsupportedMediaType:
		f.Hint = "the registry does not accept this media type; " +
			"for zot, set http.compat to docker2s2 to accept Docker's media types"
	case product.Placeless(h.Product(), code, text) && (c.Method == http.MethodPost || c.Method == http.MethodPut):
		f.Hint = product.CreateHint(h.Product())
	case isRedirect(a.Status):
		f.Kind, f.Hint = fault.Refused, "use the registry's own address"
	}
	return f
}

// DeniedHint returns the hint for a refusal. It distinguishes a network rule, a missing project, a
// missing permission, a wrong login and a missing login.
func (h *Host) DeniedHint(c *Call, a *Answer) string {
	_, text := a.Problem()
	login, known := c.Access.used()
	switch {
	case product.Firewalled(a.Status, text):
		return product.FirewallHint
	case product.Placeless(h.Product(), "", text):
		return product.CreateHint(h.Product())
	case a.Status != http.StatusForbidden:
		return product.Remedy(h.Name, login)
	}
	need := product.Needed(h.Product(), c.Method)
	if !known {
		return "ask whoever runs " + h.Name + " for " + need
	}
	return product.GrantHint(h.Name, login, need)
}

// Refused adds to err, a refusal of the registry itself, which login was refused and where it came from.
func (h *Host) Refused(c *Call, a *Answer, err error) error {
	login, known := c.Access.used()
	switch _, text := a.Problem(); {
	case a.Away || c.Access == nil || product.Firewalled(a.Status, text):
		return err
	case !known:
		return fmt.Errorf("%w; no login was sent, because the registry asked for none", err)
	}
	return fmt.Errorf("%w; %s", err, Whose(h.Name, login))
}

// Whose says which login was used at host.
func Whose(host string, l credential.Login) string {
	if l.IsAnonymous() {
		return "no login for " + host + " was found"
	}
	return "the login is " + Clean(l.Identity())
}

// absent marks an answer in which the registry itself says that it has no such repository.
type absent struct{ error }

func (a absent) Unwrap() error { return a.error }

// saysAbsent reports whether an answer says that the repository does not exist: a 404 with
// NAME_UNKNOWN, or with NOT_FOUND as Harbor answers. A 404 without either code may come from any
// host in between.
func saysAbsent(status int, code string) bool {
	return status == http.StatusNotFound && (code == "NAME_UNKNOWN" || code == "NOT_FOUND")
}

// IsAbsent reports whether err is an answer in which the registry itself says that the repository
// does not exist. Any other error of a listing says nothing about what the repository holds.
func IsAbsent(err error) bool {
	var a absent
	return errors.As(err, &a)
}
