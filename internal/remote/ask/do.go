package ask

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
)

// Do sends c until the registry answers with one of the statuses ok, and returns that answer. Any
// other status is an error. If another attempt may help, Do repeats the request within the retry
// budget.
func (h *Host) Do(ctx context.Context, c *wire.Call, ok ...int) (*wire.Answer, error) {
	h.Takes(c)
	b := h.Budget(c)
	for {
		if err := h.Pulse.Spared(h.Name); err != nil {
			return nil, c.Named(err)
		}
		if err := h.admit(ctx, c, h.try); err != nil {
			return nil, err
		}
		a, err := h.try(ctx, c)
		if err == nil && h.Pulls != nil && c.OnManifest() && h.Pulls.Heed(replyOf(c, a)) && b.used <= h.Tries() {
			b.used++
			continue // to wait for pulls; the wait is not reported as a retry
		}
		if err == nil {
			err = contradiction(c, a)
		}
		if err == nil {
			if slices.Contains(ok, a.Status) || a.Renewed {
				return a, nil
			}
			a.Close()
			err = h.Refusal(c, a)
		}
		late := wire.IsLate(err)
		if c.Single || !Passing(err) || c.Patience > 0 && (late || h.Pulse.Never()) {
			return nil, c.Named(err)
		}
		if err := b.Wait(ctx, err); err != nil {
			return nil, c.Named(err)
		}
		if late {
			again := *c
			again.Late++
			c = &again
		}
	}
}

// contradiction returns an error if the answer to a write is a success with errors in its body
// (distribution-spec v1.1.1 §Error Codes), so that nobody can tell whether anything was written.
func contradiction(c *wire.Call, a *wire.Answer) error {
	if c.Class() == 0 || a.Status < 200 || a.Status > 299 || !reason.HasErrors(a.Raw) {
		return nil
	}
	code, text := a.Problem()
	return c.Fault(fault.Refused, "ask whoever runs the registry why it confirms a request and reports an error "+
		"at the same time", reason.Quote(a.Status, code, text))
}

// try makes one attempt: it sends c with the login that the registry requires, and again after each
// 401 that a new token may solve, and after a 403 that a login may solve.
func (h *Host) try(ctx context.Context, c *wire.Call) (*wire.Answer, error) {
	if c.URL == nil {
		origin, err := h.OriginFor(ctx, c)
		if err != nil {
			return nil, err
		}
		origin.Path, origin.RawQuery = c.Path, c.Query
		if c.Encoded {
			if origin.Path, err = url.PathUnescape(c.Path); err != nil {
				return nil, c.Fault(fault.Invalid, "", err)
			}
			origin.RawPath = c.Path
		}
		direct := *c
		direct.URL = origin
		c = &direct
	}
	if c.Access == nil {
		return h.Exchange(ctx, c, "")
	}
	leave, err := h.Meet(ctx, c)
	if err != nil {
		return nil, c.Stopped(ctx, err)
	}
	defer leave()
	authz, err := h.Authorization(ctx, c, "")
	if err != nil {
		return nil, err
	}
	a, err := h.Exchange(ctx, c, authz)
	for refused := 0; err == nil && !a.Away; {
		sent := authz
		switch {
		case a.Status == http.StatusUnauthorized:
			authz, err = h.Challenged(ctx, c, a, sent, refused)
		case a.Status == http.StatusForbidden && sent == "":
			authz, err = h.Forbidden(ctx, c, a)
		}
		if err != nil {
			return nil, err
		}
		if authz == sent {
			break
		}
		if sent != "" {
			refused++
		}
		if c.Lane == wire.Up {
			a.Renewed = true
			return a, nil
		}
		a, err = h.Exchange(ctx, c, authz)
	}
	if err == nil {
		h.Met(c, authz, a)
	}
	return a, err
}
