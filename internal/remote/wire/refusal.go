package wire

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/echo"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/reason"
)

// Refusal turns an unexpected answer into an error of the Kind that its status and code mean
// (distribution-spec v1.1.1 §Error Codes).
func (h *Host) Refusal(c *Call, a *Answer) error {
	h.Takes(c)
	code, text := a.Problem()
	if a.Away {
		text = c.Sent.Cut(text, echo.Signatures(a.At)...)
	}
	f := &fault.Fault{Kind: reason.KindOf(a.Status, code, text), Op: c.Op, Name: c.Name,
		Err: reason.Quote(a.Status, code, text)}
	if f.Kind == fault.Full && c.Class() == 0 {
		f.Kind = reason.KindOf(a.Status, "", "") // a read fills nothing: the quota is another one
	}
	if a.Away {
		f.Err = fmt.Errorf("%s, to which the registry redirects, answers %d %s",
			a.At.Host, a.Status, cmp.Or(text, http.StatusText(a.Status)))
	}
	switch {
	case saysAbsent(a):
		f.Err = reason.Absent(f.Err)
	case a.Status == http.StatusNotFound && reason.IsForeign(a.Raw):
		f.Err = reason.Stray(f.Err, text)
	case a.Status != http.StatusForbidden || a.Away || f.Kind != fault.Denied:
	case product.Firewalled(a.Status, text), product.Placeless(h.Product(), code, text):
		f.Err = reason.Barred(f.Err)
	default:
		f.Err = reason.Forbidden(f.Err)
	}
	switch {
	case a.Away && f.Kind == fault.Denied:
		// Another host never saw the login. The signature in its address has expired, or a network
		// rule refuses this machine. The registry writes a new signature for the next request.
		f.Kind, f.Hint = fault.Unavailable, "check the clock of this machine, and whether its network may reach "+
			a.At.Host+"; a login does not help"
	case f.Kind == fault.Throttled, a.Status == http.StatusServiceUnavailable:
		f.RetryAfter = limit.ParseRetryAfter(a.Header.Get("Retry-After"), limit.Sent(a.Header, time.Now()))
		f.Hint = product.BusyHint
	case f.Kind == fault.Full:
		f.Hint = product.FullHint(h.Product(), h.Name)
	case a.Status == http.StatusProxyAuthRequired:
		f.Hint = proxyHint
		if proxy := proxyOf(cmp.Or(a.At, &url.URL{})); proxy != "" {
			f.Err = fmt.Errorf("%s requires a login", proxy)
		}
	case a.isDeadEnd(c):
		f.Hint, f.Err = reason.PageHint, fmt.Errorf("%w, with a web page of %s", f.Err, a.At.Host)
	case f.Kind == fault.Denied:
		f.Hint, f.Err = h.DeniedHint(c, a), h.Refused(c, a, f.Err)
	case a.Status == http.StatusUnsupportedMediaType && strings.Contains(c.Path, "/manifests/"):
		f.Hint = "the registry does not accept this media type; " +
			"for zot, set http.compat to docker2s2 to accept Docker's media types"
	case product.Placeless(h.Product(), code, text) && (c.Method == http.MethodPost || c.Method == http.MethodPut):
		f.Hint = product.CreateHint(h.Product())
	case isRedirect(a.Status):
		f.Kind, f.Hint = fault.Refused, "use the registry's own address"
	default:
		f.Hint = product.StatusHint(c.Method, a.Status)
	}
	return c.Sent.Error(f)
}

// isDeadEnd reports whether a firewall or a proxy answers: a web page with 404, or with 403 to a request without login.
func (a *Answer) isDeadEnd(c *Call) bool {
	_, known := c.Access.used()
	return len(a.Raw) > 0 && reason.IsMarkup(a.Header, a.Raw) &&
		(a.Status == http.StatusNotFound || a.Status == http.StatusForbidden && !known)
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
		return product.Remedy(h.Name, h.SignInHint(), login)
	}
	need := product.Needed(h.Product(), c.Method)
	if !known {
		return "ask whoever runs " + h.Name + " for " + need
	}
	return product.GrantHint(h.Name, h.SignInHint(), login, need)
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
	return fmt.Errorf("%w; %s", err, reason.Whose(h.Name, login))
}

// broke returns the error of an exchange with the host of at that ended early. Its text contains no
// URL: the errors of the transport have none.
func (h *Host) broke(ctx, inner context.Context, c *Call, at *url.URL, err error) error {
	var (
		stall   *stalled
		already *fault.Fault
		notTLS  tls.RecordHeaderError
		proxy   *proxyRefusal
		op      *net.OpError
	)
	switch {
	case ctx.Err() != nil:
		return c.Fault(fault.Canceled, "", context.Cause(ctx))
	case errors.As(context.Cause(inner), &stall):
		hint := ""
		if stall.late {
			hint = product.LateHint
		}
		return c.Fault(fault.Unavailable, hint, stall)
	case errors.As(err, &already):
		return err
	case errors.Is(err, errInside):
		return c.Fault(fault.Refused, "", err)
	case errors.As(err, &proxy):
		return proxy.fault(c)
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return c.Fault(fault.Unavailable, "correct the address of the proxy, or add "+at.Hostname()+" to NO_PROXY",
			fmt.Errorf("%s cannot be reached: %w", proxyOf(at), op.Err))
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &notTLS):
		return c.Fault(fault.Refused, "if this registry has no TLS, set plain-http for it, or use --plain-http",
			errors.New("the registry does not answer with TLS"))
	case h.isTLS(ctx, at, err):
		return c.speaksTLS(at)
	}
	hint, bad := reason.Certificate(at, err, h.authorities(h.Name, h.Set))
	if bad != nil {
		return c.Fault(fault.Refused, hint, bad)
	}
	hint = cmp.Or(reachHint(err), product.CutHint(h.Product(), c.Method, c.Path))
	return c.Fault(fault.Unavailable, hint, err)
}

// astray adds to the error of a request to another origin than the registry's that the registry
// points there, and what to do about it. A name that exists only inside the registry's network is
// Refused, because no other attempt finds it. A proxy that cannot be reached has its own error.
func astray(c *Call, origin, at *url.URL, err error) error {
	var (
		dial *net.OpError
		dns  *net.DNSError
	)
	inside := errors.Is(err, errInside)
	if SameOrigin(at, origin) || !inside && (proxyOf(at) != "" || !errors.As(err, &dial) || dial.Op != "dial") {
		return err
	}
	kind, hint := fault.KindOf(err), product.StorageHint
	if c.URL == nil || !SameOrigin(c.URL, origin) || c.Class() != 0 {
		hint = product.AddressHint
	}
	if errors.As(err, &dns) && dns.IsNotFound && reason.IsInner(at.Hostname()) {
		kind = fault.Refused
	}
	if inside {
		return c.Fault(kind, hint, err)
	}
	return c.Fault(kind, hint, fmt.Errorf("the registry points to %s: %w", at.Host, dial))
}

// speaksTLS is the error of a request by plain http to a port that speaks TLS.
func (c *Call) speaksTLS(at *url.URL) error {
	return c.Fault(fault.Refused, "drop plain-http for this registry, --plain-http, or http:// before its name",
		fmt.Errorf("%s speaks TLS, and was asked by plain http", at.Host))
}

// wantsTLS reports whether an answer to a request by plain http means that the port speaks TLS. Go,
// nginx and Apache say so in the body, which an answer to HEAD does not have.
func (h *Host) wantsTLS(ctx context.Context, at *url.URL, a *Answer) bool {
	switch {
	case at.Scheme != "http":
		return false
	case a.Status != http.StatusBadRequest:
		h.plain.Store(true)
		return false
	}
	words := strings.ToLower(string(a.Raw))
	return strings.Contains(words, "http request to an https server") ||
		strings.Contains(words, "plain http request was sent to https port") ||
		strings.Contains(words, "plain http to an ssl-enabled server port") ||
		len(a.Raw) == 0 && h.isNew(at) && h.shakesHands(ctx)
}

// isNew reports whether at is an address of the registry itself, reached directly by plain http, that
// has not shown yet that it speaks plain http.
func (h *Host) isNew(at *url.URL) bool {
	home := &url.URL{Scheme: "http", Host: h.api}
	return !h.plain.Load() && h.pinned() == "http" && proxyOf(at) == "" && SameHost(at, home)
}

// isTLS reports whether a request by plain http broke because the port speaks TLS: the answer is a
// TLS alert, or a new registry closes the connection, and a handshake succeeds.
func (h *Host) isTLS(ctx context.Context, at *url.URL, err error) bool {
	switch {
	case at.Scheme != "http":
		return false
	case strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`):
		return true
	case !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET):
		return false
	}
	return h.isNew(at) && h.shakesHands(ctx)
}

// Page returns the error for an answer that is a web page in place of what c requests. Its Kind is
// Refused.
func (c *Call) Page(a *Answer) error {
	return c.Fault(fault.Refused, reason.PageHint, reason.Page(a.At.Host))
}

// IsPage reports whether the answer is a web page: a success whose body is HTML, or the 511 of a captive
// portal (RFC 6585 §6). If there is a body, the Content-Type alone does not decide, because Quay
// answers GET /v2/ with the word true as text/html. If none was read (HEAD, and blobs), there is
// only the Content-Type, and the caller must know more before it believes IsPage: a blob may hold a
// web page.
func (a *Answer) IsPage() bool {
	switch a.Status {
	case http.StatusNetworkAuthenticationRequired:
		return true
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNonAuthoritativeInfo:
		return reason.IsMarkup(a.Header, a.Raw)
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

// saysAbsent reports whether an answer says that the repository does not exist: a 404 with
// NAME_UNKNOWN, or with NOT_FOUND as Harbor answers. A 404 without either code may come from any
// host in between.
func saysAbsent(a *Answer) bool {
	return a.Status == http.StatusNotFound && a.Says("NAME_UNKNOWN", "NOT_FOUND")
}
