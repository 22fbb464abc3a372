package remote

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/drayage/dray/fault"
)

// maxHops is how many redirects are followed.
const maxHops = 5

// exchange takes a place in the gate, sends one request and follows where it leads.
func (h *line) exchange(ctx context.Context, c *call, authz string) (*answer, error) {
	g, place := h.crowd(c.lane), c.lane != up // an upload has had a place since before it opened its source
	for {
		if err := h.pause.await(ctx); err != nil {
			return nil, c.stopped(ctx, err)
		}
		if place {
			if err := g.enter(ctx, c.small); err != nil {
				return nil, c.stopped(ctx, err)
			}
		}
		if !h.pause.holds() {
			break
		}
		if place {
			g.leave(c.small) // a pause began while this request waited for its place
		}
	}
	begin := time.Now()
	a, err := h.follow(ctx, c, authz)
	if err == nil {
		g.answered(a.status, time.Since(begin))
		h.heed(c, a)
	}
	if err == nil && a.body != nil {
		a.body.(*receiving).leave = func() { g.leave(c.small) } // the place is taken until the body is closed
		return a, nil
	}
	if place {
		g.leave(c.small)
	}
	return a, err
}

// ask is one exchange without a login, held to the statuses ok.
func (h *line) ask(ctx context.Context, c *call, ok ...int) (*answer, error) {
	if err := h.pulse.spared(h.name); err != nil {
		return nil, c.named(err)
	}
	a, err := h.exchange(ctx, c, "")
	switch {
	case err != nil:
		return nil, c.named(err)
	case slices.Contains(ok, a.status):
		return a, nil
	}
	a.close()
	return nil, c.named(h.refusal(c, a))
}

// follow sends the request and goes after redirects. The login is sent to the
// registry's origin only; dropped once, it stays dropped.
func (h *line) follow(ctx context.Context, c *call, authz string) (*answer, error) {
	origin, err := h.origin(ctx)
	if err != nil {
		return nil, err
	}
	at, home := c.url, sameOrigin(c.url, origin)
	for hop := 0; ; hop++ {
		if !home {
			authz = ""
		}
		a, err := h.once(ctx, c, origin, at, authz)
		if err != nil {
			return nil, err
		}
		a.asked, a.at, a.away = c.url, at, !home
		location := a.header.Get("Location")
		if !isRedirect(a.status) || location == "" || c.method != http.MethodGet && c.method != http.MethodHead {
			return a, nil
		}
		switch {
		case c.stay:
			return nil, c.fault(fault.Refused, "", fmt.Errorf("%s answers with a redirect", at.Host))
		case hop == maxHops:
			return nil, c.fault(fault.Refused, "", fmt.Errorf("more than %d redirects", maxHops))
		}
		if at, err = h.redirected(origin, at, location); err != nil {
			return nil, c.named(err)
		}
		home = home && sameOrigin(at, origin)
	}
}
