package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// lane says what a request carries, and so which gate and transport it takes.
type lane int

const (
	asking lane = iota // no blob body
	down               // the answer is a blob; a 2xx leaves its body open
	up                 // the request is a blob; it is sent once, its owner repeats it
)

// call is one thing to ask of a registry.
type call struct {
	op, name    string // for errors and events
	method      string
	path, query string   // below the origin
	encoded     bool     // path is percent-encoded already
	url         *url.URL // instead of path and query: an upload location, a token service
	header      http.Header
	lane        lane
	access      *access // whose login; nil sends none
	observe     event.Observer

	body    func(ctx context.Context) (io.ReadCloser, error) // nil for none; called for each exchange
	size    int64                                            // of the body
	closing time.Duration                                    // how long the answer may take once the body is sent; 0 is Options.Stall
	limit   int64                                            // of the answer's body; 0 is maxErrorBody
	take    func(io.Reader) error                            // reads the body of a 200 in place of answer.raw, anew for each try
	yield   func() bool                                      // as in Use
	single  bool                                             // one try: the caller repeats
	stay    bool                                             // redirects are refused
	small   bool                                             // on the lane down: less than smallBody is to come
}

// answer is what a registry said. Its body was read into raw, but for a 2xx on
// the lane down, whose body the owner closes.
type answer struct {
	status  int
	header  http.Header
	length  int64 // Content-Length, or -1
	raw     []byte
	over    bool // the body is longer than raw
	body    io.ReadCloser
	away    bool     // not from the registry's origin
	asked   *url.URL // what the registry was asked for, before redirects: Location is relative to it
	at      *url.URL // what answered
	renewed bool     // 401 on the lane up, and a new token is there now
}

// do asks until the registry gives an answer of one of the statuses ok; any
// other is an error. What may help later is tried again, within the budget.
func (h *host) do(ctx context.Context, c *call, ok ...int) (*answer, error) {
	b := h.budget(c)
	for {
		if err := h.spared(); err != nil {
			return nil, c.named(err)
		}
		if err := h.admit(ctx, c); err != nil {
			return nil, err
		}
		a, err := h.try(ctx, c)
		if err == nil && h.pulls != nil && c.onManifest() && h.pulls.heed(c, a) && b.used <= h.tries() {
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

func (a *answer) close() {
	if a.body != nil {
		a.body.Close()
		a.body = nil
	}
}

// fault is an error of this call.
func (c *call) fault(kind fault.Kind, hint string, err error) error {
	return &fault.Fault{Kind: kind, Op: c.op, Name: c.name, Hint: hint, Err: err}
}

// named says of which call err is.
func (c *call) named(err error) error {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return c.fault(fault.Internal, "", err)
	}
	if f.Op == c.op && f.Name == c.name {
		return err
	}
	return &fault.Fault{Kind: f.Kind, Op: c.op, Name: c.name, RetryAfter: f.RetryAfter, Err: err}
}

// stopped tells the caller's giving up from a failure.
func (c *call) stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return c.fault(fault.Canceled, "", context.Cause(ctx))
	}
	return c.named(err)
}
