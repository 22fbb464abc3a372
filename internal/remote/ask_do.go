package remote

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/drayage/dray/fault"
)

// do asks until the registry gives an answer of one of the statuses ok; any
// other is an error. What may help later is tried again, within the budget.
func (h *host) do(ctx context.Context, c *call, ok ...int) (*answer, error) {
	b := h.budget(c)
	for {
		if err := h.pulse.spared(h.name); err != nil {
			return nil, c.named(err)
		}
		if err := h.admit(ctx, c, h.try); err != nil {
			return nil, err
		}
		a, err := h.try(ctx, c)
		if err == nil && h.pulls != nil && c.onManifest() && h.pulls.heed(replyOf(c, a)) && b.used <= h.tries() {
			b.used++
			continue // to wait for pulls, which is nobody else's concern
		}
		if err == nil {
			if slices.Contains(ok, a.status) || a.renewed {
				return a, nil
			}
			a.close()
			err = h.refusal(c, a)
		}
		if c.single || !passing(err) {
			return nil, c.named(err)
		}
		if err := b.wait(ctx, err); err != nil {
			return nil, c.named(err)
		}
	}
}

// try asks once, with whatever login it takes.
func (h *host) try(ctx context.Context, c *call) (*answer, error) {
	if c.url == nil {
		origin, err := h.origin(ctx)
		if err != nil {
			return nil, err
		}
		origin.Path, origin.RawQuery = c.path, c.query
		if c.encoded {
			if origin.Path, err = url.PathUnescape(c.path); err != nil {
				return nil, c.fault(fault.Invalid, "", err)
			}
			origin.RawPath = c.path
		}
		direct := *c
		direct.url = origin
		c = &direct
	}
	if c.access == nil {
		return h.exchange(ctx, c, "")
	}
	leave, err := h.meet(ctx, c)
	if err != nil {
		return nil, c.stopped(ctx, err)
	}
	defer leave()
	authz, err := h.authorization(ctx, c, "")
	if err != nil {
		return nil, err
	}
	a, err := h.exchange(ctx, c, authz)
	for refused := 0; err == nil && a.status == http.StatusUnauthorized && !a.away; {
		sent := authz
		if authz, err = h.challenged(ctx, c, a, sent, refused); err != nil {
			return nil, err
		}
		if sent != "" {
			refused++
		}
		if c.lane == up {
			a.renewed = true
			return a, nil
		}
		a, err = h.exchange(ctx, c, authz)
	}
	if err == nil {
		h.met(c, authz, a)
	}
	return a, err
}
