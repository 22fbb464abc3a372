package ask

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
)

// replyOf extracts what the answer a says about the pull limit.
func replyOf(c *wire.Call, a *wire.Answer) limit.Reply {
	return limit.Reply{
		Method: c.Method,
		Status: a.Status,
		Header: a.Header,
		Source: reason.Clean(a.Header.Get("Docker-Ratelimit-Source")),
		Spent:  a.Status == http.StatusTooManyRequests && c.Method == http.MethodGet && pullLimit(a),
	}
}

// pullLimit reports whether the answer holds Docker Hub's words for a used-up pull limit: "You have
// reached your pull rate limit. … https://www.docker.com/increase-rate-limit".
func pullLimit(a *wire.Answer) bool {
	_, text := a.Problem()
	text = strings.ToLower(text + " " + string(a.Raw[:min(len(a.Raw), 4096)]))
	return strings.Contains(text, "pull rate limit") || strings.Contains(text, "increase-rate-limit")
}

// admit returns when the pull limit allows c. It waits until pulls are available again, but fails
// if that takes longer than MaxWait or if c.Yield returns true. It uses ask to check whether pulls
// are available.
func (h *Host) admit(
	ctx context.Context, c *wire.Call, ask func(context.Context, *wire.Call) (*wire.Answer, error),
) error {
	if h.Pulls == nil || c.Method != http.MethodGet || !c.OnManifest() {
		return nil
	}
	for {
		until, free := h.Pulls.Closed()
		if until.IsZero() {
			return nil
		}
		d := time.Until(until)
		if d > h.Options.MaxWait || c.Yield != nil && c.Yield() {
			return &fault.Fault{Kind: fault.Throttled, Op: c.Op, Name: c.Name, RetryAfter: d, Err: limit.Spent(until),
				Hint: "try again after that time, raise --max-wait, or use another login for " + h.Name}
		}
		if h.Pulls.News(until) {
			c.Observe.Tell(event.Event{
				Kind: event.Waiting,
				Host: h.Name,
				Name: c.Name,
				Wait: d,
				Text: h.Name + ": the pull limit is used up until " + limit.Clock(until),
			})
		}
		err := h.Pulls.Await(ctx, free, d, func() {
			look := *c
			look.Method, look.Limit = http.MethodHead, 0
			if a, err := ask(ctx, &look); err == nil {
				r := replyOf(&look, a)
				r.Look = true
				h.Pulls.Heed(r)
			}
		})
		if err != nil {
			return c.Stopped(ctx, err)
		}
	}
}
