package wire

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/reason"
)

// maxHops is the largest number of redirects that are followed.
const maxHops = 5

// Exchange waits until the host may get another request, sends c and follows redirects. authz is
// the Authorization header; "" sends none.
func (h *Host) Exchange(ctx context.Context, c *Call, authz string) (*Answer, error) {
	h.Takes(c)
	g, place := h.crowd(c.Lane), c.Lane != Up // an upload took its place before it opened its source
	for {
		if until, holds := h.Pause.Ends(); holds && c.Patience > 0 && time.Until(until) > c.Patience {
			return nil, c.Fault(fault.Throttled, "",
				fmt.Errorf("the registry asks to wait until %s", limit.Clock(until)))
		}
		if err := h.Pause.Await(ctx); err != nil {
			return nil, c.Stopped(ctx, err)
		}
		if place {
			if err := g.Enter(ctx, c.Small); err != nil {
				return nil, c.Stopped(ctx, err)
			}
		}
		if _, holds := h.Pause.Ends(); !holds {
			break
		}
		if place {
			g.Leave(c.Small) // a pause began while this request waited for its place
		}
	}
	begin := time.Now()
	a, err := h.follow(ctx, c, authz)
	if err == nil {
		g.Answered(a.Status, time.Since(begin))
		h.heed(c, a)
	}
	if err == nil && a.Body != nil {
		a.Body.(*receiving).leave = func() { g.Leave(c.Small) } // the place is taken until the body is closed
		return a, nil
	}
	if place {
		g.Leave(c.Small)
	}
	return a, err
}

// Ask makes one exchange without a login. An answer with another status than those in ok is an
// error.
func (h *Host) Ask(ctx context.Context, c *Call, ok ...int) (*Answer, error) {
	h.Takes(c)
	if err := h.Pulse.Spared(h.Name); err != nil {
		return nil, c.Named(err)
	}
	a, err := h.Exchange(ctx, c, "")
	switch {
	case err != nil:
		return nil, c.Named(err)
	case slices.Contains(ok, a.Status):
		return a, nil
	}
	a.Close()
	return nil, c.Named(h.Refusal(c, a))
}

// follow sends the request and follows redirects. The login is sent only to the registry's origin.
// After a redirect to another origin it is not sent again, even if a later redirect leads back. The
// body of a request is opened anew for each hop.
func (h *Host) follow(ctx context.Context, c *Call, authz string) (*Answer, error) {
	origin, err := h.Origin(ctx)
	if err != nil {
		return nil, err
	}
	at, home := c.URL, SameOrigin(c.URL, origin)
	for hop := 0; ; hop++ {
		if !home {
			authz = ""
		}
		a, err := h.once(ctx, c, origin, at, authz)
		if err != nil {
			return nil, err
		}
		a.Asked, a.At, a.Away = c.URL, at, !home
		if h.wantsTLS(ctx, at, a) {
			a.Close()
			return nil, c.speaksTLS(at)
		}
		location := a.Header.Get("Location")
		if !isRedirect(a.Status) || location == "" {
			if c.replaced(a) {
				return nil, c.Page(a)
			}
			return a, nil
		}
		to, err := h.next(c, origin, a, location)
		switch {
		case err != nil:
			return nil, err
		case hop == maxHops:
			return nil, c.Fault(fault.Refused, "correct the rules of the registry, or of the proxy before it, that redirect",
				fmt.Errorf("more than %d redirects, the last one to %s", maxHops, to.Host))
		}
		at, home = to, home && SameOrigin(to, origin)
	}
}

// next returns where the redirect in a leads, or an error if c must not be sent there. A write
// follows 307 and 308, which keep the method and the body (RFC 9110 §15.4). After 301, 302 and 303
// clients differ in what they send, so a write ends there with the address. A DELETE stays at the
// origin that it was sent to: no other host decides what is removed.
func (h *Host) next(c *Call, origin *url.URL, a *Answer, location string) (*url.URL, error) {
	lead := h.Redirected
	if c.Class() != 0 {
		lead = h.Located
	}
	to, err := lead(origin, a.At, location)
	keeps := a.Status == http.StatusTemporaryRedirect || a.Status == http.StatusPermanentRedirect
	switch {
	case c.Stay:
		return nil, c.Fault(fault.Refused, "", fmt.Errorf("%s answers with a redirect", a.At.Host))
	case c.Class() != 0 && !keeps, err == nil && c.Method == http.MethodDelete && !SameOrigin(to, a.At):
		return nil, c.Fault(fault.Refused, h.redirectHint(a.At, location),
			fmt.Errorf("%s redirects %s with %d to %s", a.At.Host, c.Method, a.Status, leadsTo(a.At, location)))
	case err != nil:
		return nil, c.Named(err)
	}
	return to, nil
}

// leadsTo returns what a message shows of a Location: no login and no values of its query.
func leadsTo(at *url.URL, location string) string {
	to, err := ParseLocation(at, location)
	if err != nil {
		return "an invalid address"
	}
	return reason.Clean(bare(to))
}

// redirectHint returns the hint for a write that is redirected in a way that is not followed.
func (h *Host) redirectHint(at *url.URL, location string) string {
	to, err := ParseLocation(at, location)
	switch {
	case err != nil:
		return product.AddressHint
	case strings.EqualFold(to.Hostname(), at.Hostname()) && at.Scheme == "http" && to.Scheme == "https":
		return "this registry has TLS: drop plain-http for it, and use the port of its TLS"
	case !SameHost(to, at):
		return "use the registry's own address, if it is " + to.Host
	}
	return "use the registry's own address, and check the proxy in front of it"
}
