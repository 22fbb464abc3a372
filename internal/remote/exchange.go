package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// maxHops is how many redirects are followed.
const maxHops = 5

// exchange takes a place in the gate, sends one request and follows where it leads.
func (h *host) exchange(ctx context.Context, c *call, authz string) (*answer, error) {
	g, place := h.crowd(c.lane), c.lane != up // an upload has had a place since before it opened its source
	for {
		if err := h.await(ctx); err != nil {
			return nil, c.stopped(ctx, err)
		}
		if place {
			if err := g.enter(ctx, c.small); err != nil {
				return nil, c.stopped(ctx, err)
			}
		}
		h.mu.Lock()
		paused := time.Now().Before(h.until)
		h.mu.Unlock()
		if !paused {
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

func (h *host) crowd(l lane) *crowd {
	switch l {
	case down:
		return h.down
	case up:
		return h.up
	}
	return h.asking
}

// follow sends the request and goes after redirects. The login is sent to the
// registry's origin only; dropped once, it stays dropped.
func (h *host) follow(ctx context.Context, c *call, authz string) (*answer, error) {
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

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// once is one request and its answer, under the eye of a watchdog.
func (h *host) once(ctx context.Context, c *call, origin, at *url.URL, authz string) (*answer, error) {
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
	h.heard()
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

func (h *host) request(ctx context.Context, c *call, at *url.URL, w *watchdog) (*http.Request, *atomic.Int64, error) {
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
func (h *host) spender(ctx context.Context, c *call) func(int) error {
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
func (h *host) transportFor(c *call, origin, at *url.URL) *http.Transport {
	switch {
	case !sameOrigin(at, origin):
		return h.away
	case c.lane == asking && at.Scheme == "https":
		return h.meta
	}
	return h.blobs
}

// broke says why an exchange ended early. Its text holds no URL: the transport's own errors have none.
func (h *host) broke(ctx, inner context.Context, c *call, err error) error {
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
	return c.fault(fault.Unavailable, h.cutHint(c), err)
}

// told is the event of one exchange.
type told struct {
	call   *call
	host   string
	url    *url.URL
	begin  time.Time
	status int
	sent   *atomic.Int64
}

func (t *told) tell(received int64, status int, err error) {
	t.call.observe.Tell(event.Event{
		Kind: event.Requested, Host: t.host, Name: t.call.name, Method: t.call.method, URL: bare(t.url),
		Status: status, Sent: t.sent.Load(), Received: received, Took: time.Since(t.begin), Err: err,
	})
}

// bare writes a URL with the names of its query but not their values.
func bare(u *url.URL) string {
	s := u.Scheme + "://" + u.Host + u.EscapedPath()
	var keys []string
	for _, pair := range strings.Split(u.RawQuery, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if key != "" {
			keys = append(keys, key+"=")
		}
	}
	if len(keys) > 0 {
		s += "?" + strings.Join(keys, "&")
	}
	return s
}
