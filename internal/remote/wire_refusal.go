package remote

import (
	"errors"
	"net/http"
	"time"

	"github.com/drayage/dray/fault"
)

// proxyHint is the way out where a proxy refuses, by an answer or by refusing to connect.
const proxyHint = "put a login into the proxy's address"

// refusal turns an answer that was not hoped for into an error of the Kind that
// its status and code mean (distribution-spec v1.1.1 §Error Codes).
func (h *line) refusal(c *call, a *answer) error {
	code, text := a.problem()
	f := &fault.Fault{Kind: kindOf(a.status, code, text), Op: c.op, Name: c.name, Err: quote(a.status, code, text)}
	if saysAbsent(a.status, code) {
		f.Err = absent{f.Err}
	}
	switch {
	case a.away && a.status == http.StatusForbidden && c.lane == down:
		f.Kind = fault.Unavailable // the signature of a redirect has run out; the registry writes a new one
	case f.Kind == fault.Throttled, a.status == http.StatusServiceUnavailable:
		f.RetryAfter = parseRetryAfter(a.header.Get("Retry-After"), time.Now())
	case a.status == http.StatusProxyAuthRequired:
		f.Hint = proxyHint
	case f.Kind == fault.Denied:
		f.Hint = h.deniedHint(c, a)
	case a.status == http.StatusUnsupportedMediaType:
		f.Hint = "this registry does not take this media type; zot takes Docker's with http.compat docker2s2"
	case placeless(h.product(), code, text) && (c.method == http.MethodPost || c.method == http.MethodPut):
		f.Hint = createHint(h.product())
	case isRedirect(a.status):
		f.Kind, f.Hint = fault.Refused, "name the registry by its own address"
	}
	return f
}

// deniedHint tells a rule of the network from a missing project, a missing right, and a login.
func (h *line) deniedHint(c *call, a *answer) string {
	_, text := a.problem()
	switch {
	case firewalled(a.status, text):
		return firewallHint
	case placeless(h.product(), "", text):
		return createHint(h.product())
	case a.status != http.StatusForbidden:
		return signInHint(h.name)
	}
	need := needed(h.product(), c.method)
	if need == "" {
		return signInHint(h.name)
	}
	return "the login needs " + need + "; else " + signInHint(h.name)
}

// absent marks an answer in which the registry itself says that it has no such repository.
type absent struct{ error }

func (a absent) Unwrap() error { return a.error }

// saysAbsent reports whether an answer means that: 404 with NAME_UNKNOWN, or with
// NOT_FOUND, as Harbor says it. A 404 without either may come from anything on the way.
func saysAbsent(status int, code string) bool {
	return status == http.StatusNotFound && (code == "NAME_UNKNOWN" || code == "NOT_FOUND")
}

// IsAbsent reports whether err is the registry's own word that the repository is not
// there. Any other error of a listing tells nothing about what the repository holds.
func IsAbsent(err error) bool {
	var a absent
	return errors.As(err, &a)
}
