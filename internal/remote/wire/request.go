package wire

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/reason"
)

// once sends one request and returns its answer. A watchdog ends it if it makes no progress.
func (h *Host) once(ctx context.Context, c *Call, origin, at *url.URL, authz string) (*Answer, error) {
	if SameOrigin(at, origin) {
		if err := h.spend(ctx, c); err != nil {
			return nil, c.Stopped(ctx, err)
		}
	}
	inner, cancel := context.WithCancelCause(ctx)
	w := newWatchdog(c.within(h.Options.Stall), h.firstByte(c), cancel)
	told := &told{call: c, host: h.Name, url: at, begin: time.Now()}
	trace := &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) {
		if i.Err == nil {
			w.sent()
		}
	}}
	req, sent, err := h.request(httptrace.WithClientTrace(inner, trace), c, at, w)
	if err != nil {
		cancel(nil)
		return nil, c.Stopped(ctx, err)
	}
	if authz != "" {
		req.Header.Set("Authorization", authz)
	}
	h.Options.Sent.Request(req.Header, proxyFor(at), c.Secrets)
	w.kick()
	resp, err := h.transportFor(c, origin, at).RoundTrip(req)
	w.answer()
	told.sent = sent
	if err != nil {
		err = astray(c, origin, at, h.broke(ctx, inner, c, at, err))
		cancel(nil)
		told.tell(0, 0, err)
		return nil, err
	}
	h.Pulse.Heard()
	told.status = resp.StatusCode
	in := &receiving{body: resp.Body, w: w, cancel: cancel, told: told, spend: h.spender(inner, c),
		broke: func(err error) error { return h.broke(ctx, inner, c, at, err) }}
	a := &Answer{Status: resp.StatusCode, Header: resp.Header, Length: resp.ContentLength}
	if c.Lane == Down && resp.StatusCode/100 == 2 {
		a.Body = in
		return a, nil
	}
	return a, a.read(inner, in, c)
}

// read reads the whole body, up to the call's limit.
func (a *Answer) read(ctx context.Context, in *receiving, c *Call) error {
	defer func() { _ = in.Close() }() // never fails
	plain, err := c.unpacked(in, a.Status, a.Header)
	switch {
	case err != nil && a.Status < 300:
		return err
	case err != nil:
		return nil // the status says enough
	}
	mark := []byte("\ufeff") // a byte order mark, which some services write before their JSON
	if c.Take != nil && a.Status == http.StatusOK {
		body := bufio.NewReader(plain)
		if first, _ := body.Peek(len(mark)); bytes.Equal(first, mark) {
			_, _ = body.Discard(len(mark)) // what was peeked can be discarded
		}
		begin, _ := body.Peek(512) // Take will see the same error
		if !reason.IsMarkup(a.Header, begin) {
			return c.Take(body)
		}
		plain = body
	}
	limit := c.Limit
	if limit == 0 || a.Status >= 300 {
		limit = maxErrorBody
	}
	raw, err := c.whole(ctx, plain, limit, a.Length)
	if err != nil && a.Status < 300 {
		return err
	}
	if a.Over = int64(len(raw)) > limit; a.Over {
		raw = raw[:limit]
	}
	if !c.OnManifest() { // the bytes of a manifest are content
		raw = bytes.TrimPrefix(raw, mark)
	}
	a.Raw = raw
	return nil
}

// whole reads up to limit+1 bytes of a body. length is its Content-Length, or -1. What is larger than an error
// needs room.
func (c *Call) whole(ctx context.Context, body io.Reader, limit, length int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(body, min(limit, maxErrorBody)+1))
	if err != nil || len(raw) <= maxErrorBody {
		return raw, err
	}
	most := limit + 1
	if length > 0 {
		most = min(most, length)
	}
	if c.Room != nil && c.Room.Held() == 0 {
		if err := c.Room.Take(ctx, most); err != nil {
			return nil, c.Stopped(ctx, err)
		}
	}
	all := bytes.NewBuffer(make([]byte, 0, most+bytes.MinRead))
	_, _ = all.Write(raw) // never fails
	_, err = all.ReadFrom(io.LimitReader(body, limit+1-int64(len(raw))))
	return all.Bytes(), err
}

func (h *Host) request(ctx context.Context, c *Call, at *url.URL, w *watchdog) (*http.Request, *atomic.Int64, error) {
	req, err := http.NewRequestWithContext(ctx, c.Method, at.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(req.Header, c.Header)
	req.Header.Set("User-Agent", h.Options.UserAgent)
	req.Header.Set("Accept-Encoding", "identity")
	sent := new(atomic.Int64)
	if c.Body == nil {
		return req, sent, nil
	}
	req.ContentLength = c.Size
	if c.Size == 0 {
		req.Body = http.NoBody
		return req, sent, nil
	}
	body, err := c.Body(ctx)
	if err != nil {
		return nil, nil, err
	}
	req.Body = &sending{ReadCloser: body, w: w, sent: sent, spend: h.spender(ctx, c)}
	return req, sent, nil
}

// spender returns a function that counts blob bytes and waits while the host's BytesPerSecond is
// used up.
func (h *Host) spender(ctx context.Context, c *Call) func(int) error {
	return func(n int) error {
		if c.Lane == asking {
			return nil
		}
		h.crowd(c.Lane).Moved(n)
		return h.bytes.Take(ctx, int64(n))
	}
}

// transportFor returns the transport for a request. A host other than the registry itself gets
// neither the registry's client certificate nor its relaxed TLS verification, and it may not have
// an internal address. Without TLS there is no HTTP/2, and one pool of connections serves all
// requests.
func (h *Host) transportFor(c *Call, origin, at *url.URL) *http.Transport {
	switch {
	case !SameOrigin(at, origin):
		return h.away
	case c.Lane == asking && at.Scheme == "https":
		return h.meta
	}
	return h.blobs
}

// spend waits until c may be sent. It reports a wait that is long enough to notice.
func (h *Host) spend(ctx context.Context, c *Call) error {
	if c.Access == nil {
		return nil // a token service, whose requests are counted separately, if at all
	}
	if draw := h.Options.Draw; draw != nil {
		cs := limit.Classes(c.Method, c.Path)
		return draw(ctx, limit.Draw{Host: h.Name, Identity: c.Access.identity(), Class: cmp.Or(cs[2], cs[1])})
	}
	if h.Budgets.None() {
		return nil
	}
	d, news := h.Budgets.Draw(limit.Classes(c.Method, c.Path), c.Access.identity(), time.Now())
	if d == 0 {
		return nil
	}
	if news != "" {
		c.Observe.Tell(event.Event{Kind: event.Waiting, Host: h.Name, Name: c.Name, Wait: d, Text: news})
	}
	return limit.Sleep(ctx, d)
}

// heed learns from an answer about limits: from a 429, and from headers that say that no requests
// are left until some time (RateLimit-Remaining and -Reset, with and without X-).
func (h *Host) heed(c *Call, a *Answer) {
	if a.Status == http.StatusTooManyRequests {
		h.Budgets.Refused(limit.Classes(c.Method, c.Path), c.Access.identity(), time.Now())
	}
	if h.Pulls != nil || a.Status == http.StatusTooManyRequests {
		return // Docker Hub's headers concern pulls; for a 429, Retry-After says until when
	}
	until := limit.Resets(a.Header, time.Now())
	if until.IsZero() || time.Until(until) > h.Options.MaxWait {
		return
	}
	if h.Pause.Until(until) {
		c.Observe.Tell(event.Event{Kind: event.Waiting, Host: h.Name, Name: c.Name, Wait: time.Until(until),
			Text: h.Name + ": the request limit is used up until " + limit.Clock(until)})
	}
}
