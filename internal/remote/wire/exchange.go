package wire

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/drayage/dray/fault"
)

// maxHops is the largest number of redirects that are followed.
const maxHops = 5

// Exchange waits until the host may get another request, sends c and follows redirects. authz is
// the Authorization header; "" sends none.
func (h *Host) Exchange(ctx context.Context, c *Call, authz string) (*Answer, error) {
	g, place := h.crowd(c.Lane), c.Lane != Up // an upload took its place before it opened its source
	for {
		if err := h.Pause.Await(ctx); err != nil {
			return nil, c.Stopped(ctx, err)
		}
		if place {
			if err := g.Enter(ctx, c.Small); err != nil {
				return nil, c.Stopped(ctx, err)
			}
		}
		if !h.Pause.Holds() {
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
// After a redirect to another origin it is not sent again, even if a later redirect leads back.
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
		location := a.Header.Get("Location")
		if !isRedirect(a.Status) || location == "" || c.Method != http.MethodGet && c.Method != http.MethodHead {
			if c.replaced(a) {
				return nil, c.Page(a)
			}
			return a, nil
		}
		switch {
		case c.Stay:
			return nil, c.Fault(fault.Refused, "", fmt.Errorf("%s answers with a redirect", at.Host))
		case hop == maxHops:
			return nil, c.Fault(fault.Refused, "", fmt.Errorf("more than %d redirects", maxHops))
		}
		if at, err = h.Redirected(origin, at, location); err != nil {
			return nil, c.Named(err)
		}
		home = home && SameOrigin(at, origin)
	}
}
