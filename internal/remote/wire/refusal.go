package wire

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

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
	if a.Away {
		f.Err = fmt.Errorf("%s, to which the registry redirects, answers %d %s",
			a.At.Host, a.Status, cmp.Or(text, http.StatusText(a.Status)))
	}
	switch {
	case saysAbsent(a):
		f.Err = absent{f.Err}
	case a.Status == http.StatusForbidden && !a.Away && f.Kind == fault.Denied &&
		!product.Firewalled(a.Status, text) && !product.Placeless(h.Product(), code, text):
		f.Err = forbidden{f.Err}
	}
	switch {
	case a.Away && f.Kind == fault.Denied:
		// Another host never saw the login. The signature in its address has expired, or a network
		// rule refuses this machine. The registry writes a new signature for the next request.
		f.Kind, f.Hint = fault.Unavailable, "check the clock of this machine, and whether its network may reach "+
			a.At.Host+"; a login does not help"
	case f.Kind == fault.Throttled, a.Status == http.StatusServiceUnavailable:
		f.RetryAfter = limit.ParseRetryAfter(a.Header.Get("Retry-After"), time.Now())
	case a.Status == http.StatusProxyAuthRequired:
		f.Hint = proxyHint
	case f.Kind == fault.Denied:
		f.Hint = h.DeniedHint(c, a)
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
// missing permission and a missing login.
func (h *Host) DeniedHint(c *Call, a *Answer) string {
	_, text := a.Problem()
	switch {
	case product.Firewalled(a.Status, text):
		return product.FirewallHint
	case product.Placeless(h.Product(), "", text):
		return product.CreateHint(h.Product())
	case a.Status != http.StatusForbidden:
		return product.SignInHint(h.Name)
	}
	need := product.Needed(h.Product(), c.Method)
	if need == "" {
		return product.SignInHint(h.Name)
	}
	return "the login needs " + need + "; otherwise " + product.SignInHint(h.Name)
}

// absent marks an answer in which the registry itself says that it has no such repository.
type absent struct{ error }

func (a absent) Unwrap() error { return a.error }

// saysAbsent reports whether an answer says that the repository does not exist: a 404 with
// NAME_UNKNOWN, or with NOT_FOUND as Harbor answers. A 404 without either code may come from any
// host in between.
func saysAbsent(a *Answer) bool {
	return a.Status == http.StatusNotFound && a.Says("NAME_UNKNOWN", "NOT_FOUND")
}

// forbidden marks a 403 of the registry itself that names no other cause, such as a network rule or a
// missing project.
type forbidden struct{ error }

func (f forbidden) Unwrap() error { return f.error }

// IsForbidden reports whether err is a 403 of the registry itself, which some registries answer
// also for what does not exist. A 403 that names another cause, such as a network rule, is no such
// 403.
func IsForbidden(err error) bool {
	var f forbidden
	return errors.As(err, &f)
}

// IsAbsent reports whether err is an answer in which the registry itself says that the repository
// does not exist. Any other error of a listing says nothing about what the repository holds.
func IsAbsent(err error) bool {
	var a absent
	return errors.As(err, &a)
}

// page is the cause of an answer that is a web page. host is the host that answered.
type page struct{ host string }

func (p page) Error() string {
	return "a web page of " + p.host + " answers: a sign-in, a captive portal, not a registry"
}

// IsPage reports whether err says that a web page answered in place of a registry.
func IsPage(err error) bool {
	var p page
	return errors.As(err, &p)
}

// pageHint is the hint for a web page in place of an answer.
const pageHint = "check the address of the registry, the proxy (HTTPS_PROXY), and whether this network asks for a " +
	"sign-in: open the address in a browser to see the page"

// Page returns the error for an answer that is a web page in place of what c requests. Its Kind is
// Refused.
func (c *Call) Page(a *Answer) error { return c.Fault(fault.Refused, pageHint, page{a.At.Host}) }

// IsPage reports whether the answer is a web page: a 200 whose body is HTML, or the 511 of a captive
// portal (RFC 6585 §6). If there is a body, the Content-Type alone does not decide, because Quay
// answers GET /v2/ with the word true as text/html. If none was read (HEAD, and blobs), there is
// only the Content-Type, and the caller must know more before it believes IsPage: a blob may hold a
// web page.
func (a *Answer) IsPage() bool {
	switch a.Status {
	case http.StatusNetworkAuthenticationRequired:
		return true
	case http.StatusOK, http.StatusNonAuthoritativeInfo:
		return isMarkup(a.Header, a.Raw)
	}
	return false
}

// replaced reports whether the answer to c is a web page in place of what c requests. What answers
// a HEAD or holds a blob is left to the caller, and Call.Take has read what is no page. A write may
// be answered without a body as text/html.
func (c *Call) replaced(a *Answer) bool {
	switch {
	case a.Status == http.StatusNetworkAuthenticationRequired:
		return true
	case a.Raw == nil, c.Method != http.MethodGet && len(a.Raw) == 0:
		return false
	}
	return a.IsPage()
}

// isMarkup reports whether a body that begins with begin is a web page. Without a Content-Type that
// says so, it must begin with one of the elements that begin a web page. A body in a coding that was
// not decoded cannot be judged, so its Content-Type decides.
func isMarkup(h http.Header, begin []byte) bool {
	begin = bytes.TrimSpace(bytes.TrimPrefix(begin, []byte("\xef\xbb\xbf")))
	kind := http.DetectContentType(begin)
	switch {
	case isHTML(h) && (len(begin) == 0 || Coding(h) != "" && !strings.HasPrefix(kind, "text/")):
		return true
	case !bytes.HasPrefix(begin, []byte("<")):
		return false
	}
	return isHTML(h) || strings.HasPrefix(kind, "text/html")
}
