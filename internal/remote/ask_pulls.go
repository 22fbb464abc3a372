package remote

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// replyOf is what a tells of pulls.
func replyOf(c *call, a *answer) reply {
	return reply{method: c.method, status: a.status, header: a.header, source: clean(a.header.Get("Docker-Ratelimit-Source")),
		spent: a.status == http.StatusTooManyRequests && c.method == http.MethodGet && pullLimit(a)}
}

// pullLimit recognises Docker Hub's words: "You have reached your pull rate limit. … https://www.docker.com/increase-rate-limit".
func pullLimit(a *answer) bool {
	_, text := a.problem()
	text = strings.ToLower(text + " " + string(a.raw[:min(len(a.raw), 4096)]))
	return strings.Contains(text, "pull rate limit") || strings.Contains(text, "increase-rate-limit")
}

// admit lets a pull go when there are some left. It waits for them, unless that
// takes longer than MaxWait, or the caller would rather do something else. Whether
// they are back is looked for with ask.
func (h *host) admit(ctx context.Context, c *call, ask func(context.Context, *call) (*answer, error)) error {
	if h.pulls == nil || c.method != http.MethodGet || !c.onManifest() {
		return nil
	}
	for {
		until, free := h.pulls.closed()
		if until.IsZero() {
			return nil
		}
		d := time.Until(until)
		if d > h.options.MaxWait || c.yield != nil && c.yield() {
			return &fault.Fault{Kind: fault.Throttled, Op: c.op, Name: c.name, RetryAfter: d, Err: errSpent(until),
				Hint: "try again then, raise the longest wait, or use another login for " + h.name}
		}
		if h.pulls.news(until) {
			c.observe.Tell(event.Event{Kind: event.Waiting, Host: h.name, Name: c.name, Wait: d, Text: h.name + ": pulls spent, until " + clock(until)})
		}
		err := h.pulls.await(ctx, free, d, func() {
			look := *c
			look.method, look.limit = http.MethodHead, 0
			if a, err := ask(ctx, &look); err == nil {
				h.pulls.heed(replyOf(&look, a))
			}
		})
		if err != nil {
			return c.stopped(ctx, err)
		}
	}
}
