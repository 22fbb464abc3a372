package remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// once is one request and its answer, under the eye of a watchdog.
func (h *line) once(ctx context.Context, c *call, origin, at *url.URL, authz string) (*answer, error) {
	if sameOrigin(at, origin) {
		if err := h.spend(ctx, c); err != nil {
			return nil, c.stopped(ctx, err)
		}
	}
	inner, cancel := context.WithCancelCause(ctx)
	w := newWatchdog(h.options.Stall, cancel)
	told := &told{call: c, host: h.name, url: at, begin: time.Now()}
	req, sent, err := h.request(inner, c, at, w)
	if err != nil {
		cancel(nil)
		return nil, c.stopped(ctx, err)
	}
	if authz != "" {
		req.Header.Set("Authorization", authz)
	}
	w.kick()
	resp, err := h.transportFor(c, origin, at).RoundTrip(req)
	w.hold()
	told.sent = sent
	if err != nil {
		err = h.broke(ctx, inner, c, err)
		cancel(nil)
		told.tell(0, 0, err)
		return nil, err
	}
	h.pulse.heard()
	told.status = resp.StatusCode
	in := &receiving{body: resp.Body, w: w, cancel: cancel, told: told, spend: h.spender(inner, c),
		broke: func(err error) error { return h.broke(ctx, inner, c, err) }}
	a := &answer{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength}
	if c.lane == down && resp.StatusCode/100 == 2 {
		a.body = in
		return a, nil
	}
	return a, a.read(in, c)
}

// read takes in the whole body, up to the call's limit.
func (a *answer) read(in *receiving, c *call) error {
	defer in.Close()
	if c.take != nil && a.status == http.StatusOK {
		return c.take(in)
	}
	limit := c.limit
	if limit == 0 || a.status >= 300 {
		limit = maxErrorBody
	}
	raw, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil && a.status < 300 {
		return err
	}
	if a.over = int64(len(raw)) > limit; a.over {
		raw = raw[:limit]
	}
	a.raw = raw
	return nil
}

func (h *line) request(ctx context.Context, c *call, at *url.URL, w *watchdog) (*http.Request, *atomic.Int64, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, at.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	for k, v := range c.header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", h.options.UserAgent)
	req.Header.Set("Accept-Encoding", "identity")
	sent := new(atomic.Int64)
	if c.body == nil {
		return req, sent, nil
	}
	req.ContentLength = c.size
	if c.size == 0 {
		req.Body = http.NoBody
		return req, sent, nil
	}
	body, err := c.body(ctx)
	if err != nil {
		return nil, nil, err
	}
	req.Body = &sending{ReadCloser: body, w: w, size: c.size, closing: c.closing, sent: sent, spend: h.spender(ctx, c)}
	return req, sent, nil
}

// spender counts blob bytes against the host's BytesPerSecond.
func (h *line) spender(ctx context.Context, c *call) func(int) error {
	return func(n int) error {
		if c.lane == asking {
			return nil
		}
		h.crowd(c.lane).moved(n)
		return h.bytes.take(ctx, int64(n))
	}
}

// transportFor chooses by lane; what is not the registry itself gets neither
// its client certificate nor its leniency, and no address inside. Without TLS there is no
// HTTP/2, and one pool of connections serves all.
func (h *line) transportFor(c *call, origin, at *url.URL) *http.Transport {
	switch {
	case !sameOrigin(at, origin):
		return h.away
	case c.lane == asking && at.Scheme == "https":
		return h.meta
	}
	return h.blobs
}

// broke says why an exchange ended early. Its text holds no URL: the transport's own errors have none.
func (h *line) broke(ctx, inner context.Context, c *call, err error) error {
	var (
		unknown  x509.UnknownAuthorityError
		badHost  x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		stall    *stalled
		already  *fault.Fault
		notTLS   tls.RecordHeaderError
		notHTTPS = errors.Is(err, http.ErrSchemeMismatch)
	)
	switch {
	case ctx.Err() != nil:
		return c.fault(fault.Canceled, "", context.Cause(ctx))
	case errors.As(context.Cause(inner), &stall):
		return c.fault(fault.Unavailable, "", stall)
	case errors.As(err, &already):
		return err
	case errors.Is(err, errInside):
		return c.fault(fault.Refused, "", err)
	case errors.As(err, &unknown), errors.As(err, &badHost), errors.As(err, &invalid), errors.As(err, &verify):
		return c.fault(fault.Refused, "set ca-file for this registry, or put its certificate into certs.d", err)
	case notHTTPS, errors.As(err, &notTLS):
		return c.fault(fault.Refused, "if this registry has no TLS, set plain-http for it", errors.New("the answer is not TLS"))
	case strings.Contains(err.Error(), http.StatusText(http.StatusProxyAuthRequired)):
		return c.fault(fault.Denied, proxyHint, errors.New("the proxy wants a login"))
	}
	return c.fault(fault.Unavailable, cutHint(h.product(), c.method, c.path), err)
}

// spend waits until c may be sent. It tells of a wait that can be felt.
func (h *line) spend(ctx context.Context, c *call) error {
	if c.access == nil {
		return nil // a token service, which is counted apart if at all
	}
	if draw := h.options.Draw; draw != nil {
		cs := classes(c.method, c.path)
		return draw(ctx, Draw{h.name, c.access.identity(), cmp.Or(cs[2], cs[1])})
	}
	if h.budgets.none() {
		return nil
	}
	d, news := h.budgets.draw(classes(c.method, c.path), c.access.identity(), time.Now())
	if d == 0 {
		return nil
	}
	if news != "" {
		c.observe.Tell(event.Event{Kind: event.Waiting, Host: h.name, Name: c.name, Wait: d, Text: news})
	}
	return sleep(ctx, d)
}

// heed learns from an answer: from a 429, and from headers that say that nothing is
// left until a time (RateLimit-Remaining and -Reset, with and without X-).
func (h *line) heed(c *call, a *answer) {
	if a.status == http.StatusTooManyRequests {
		h.budgets.refused(classes(c.method, c.path), c.access.identity(), time.Now())
	}
	if h.pulls != nil || a.status == http.StatusTooManyRequests {
		return // Docker Hub's headers are about pulls; a 429 has its own way to say until when
	}
	until := resets(a.header, time.Now())
	if until.IsZero() || time.Until(until) > h.options.MaxWait {
		return
	}
	if h.pause.until(until) {
		c.observe.Tell(event.Event{Kind: event.Waiting, Host: h.name, Name: c.name, Wait: time.Until(until),
			Text: h.name + ": no requests are left, until " + until.Format("15:04:05")})
	}
}
