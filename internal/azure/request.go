package azure

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/reason"
)

const (
	maxAnswer  = 4 << 20     // bytes of one answer
	tries      = 6           // how often a request is sent while the resource manager is in trouble
	firstPause = time.Second // before the second try; twice as long before each of the others
	leastPause = time.Second // before a request is sent again, also if the resource manager asks for less

	// lostLimit is how long polls may fail or be throttled. The operation goes on meanwhile.
	lostLimit = 10 * time.Minute
	// throttledLimit is how long any other request may be throttled.
	throttledLimit = time.Hour
)

// exchange sends requests about one registry to its resource manager.
type exchange struct {
	*Client
	host    string // the registry
	manager *url.URL
	http    http.RoundTripper
	watch   event.Watch
}

// about returns the exchange about a registry. The error is Invalid.
func (c *Client) about(host string, watch event.Watch) (*exchange, error) {
	at, ok := c.reach.manager(host)
	if !ok {
		return nil, &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: "import by Azure into", Name: host,
			Err:  errors.New("not a registry of Azure"),
			Hint: "leave out --via azure, or set azure.resource-manager of the registry in the configuration"}
	}
	u, err := checked(at)
	if err != nil {
		return nil, err
	}
	t, err := c.reach.transport(host)
	return &exchange{Client: c, host: host, manager: u, http: t, watch: watch}, err
}

// own reports whether at is an URL of this resource manager. A token is sent nowhere else. Azure writes the port of
// https into some addresses.
func (x *exchange) own(at *url.URL) bool {
	return at.Scheme == x.manager.Scheme && withPort(at) == withPort(x.manager)
}

// withPort returns the host of an URL with its port.
func withPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

// call is one request.
type call struct {
	op, method, url string
	body            []byte
	id              string // the same for each try, so that a server can tell them from a second request
	lasting         bool   // a poll: trouble of the server ends it only after a long time
}

// send sends a request, and again if the resource manager is busy, in trouble or does not answer. It returns any
// other answer.
func (x *exchange) send(ctx context.Context, q call) (answer, error) {
	at, err := url.Parse(q.url)
	if err != nil || !x.own(at) {
		return answer{}, &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: q.op, Name: x.host,
			Err: errors.New("the resource manager names an address that is not its own: " + withoutQuery(q.url))}
	}
	pause, signed, began := firstPause, false, time.Now()
	for try := 1; ; try++ {
		a, err := x.once(ctx, q, at)
		wait, retry := pause, false
		switch {
		case ctx.Err() != nil:
			return a, &fault.Fault{Kind: fault.Canceled, Op: q.op, Name: x.host, Err: context.Cause(ctx)}
		case fault.Is(err, fault.Denied), fault.Is(err, fault.Invalid), fault.Is(err, fault.Refused) && !q.lasting:
			return a, err // there is no login, or no certificate to trust
		case err == nil && a.status == http.StatusUnauthorized && !signed:
			signed = true // the token has ended meanwhile
			continue
		case err == nil && a.status == http.StatusTooManyRequests:
			wait, retry = max(a.retryAfter(pause), leastPause), true
			limit := throttledLimit
			if q.lasting {
				limit = lostLimit
			}
			if wait > x.maxWait || time.Since(began) > limit {
				return a, a.refused(q.op, x.host)
			}
			x.tell(event.Waiting, wait, "Azure's resource manager asks to wait", nil)
		case err != nil || a.status >= 500 && a.status != http.StatusNotImplemented || a.status == http.StatusRequestTimeout:
			retry = try < tries || q.lasting && time.Since(began) < lostLimit
			if err == nil {
				wait = max(a.retryAfter(pause), leastPause)
				wait, err = min(wait, x.maxWait), a.refused(q.op, x.host)
			}
		}
		if !retry {
			return a, err
		}
		if err != nil {
			x.tell(event.Retried, wait, "", err)
		}
		if sleep(ctx, wait) != nil {
			continue // the next round returns the error of ctx
		}
		pause = min(2*pause, time.Minute)
	}
}

func (x *exchange) tell(kind event.Kind, wait time.Duration, text string, err error) {
	x.watch.Events.Tell(event.Event{Kind: kind, Side: string(fault.Target), Host: x.manager.Host, Wait: wait, Text: text,
		Err: err})
}

// once sends a request one time.
func (x *exchange) once(ctx context.Context, q call, at *url.URL) (answer, error) {
	if q.method == http.MethodPost {
		if err := x.pace.enter(ctx); err != nil {
			return answer{}, err
		}
	}
	token, err := x.tokens(ctx, x.host, x.manager.Scheme+"://"+x.manager.Host)
	if err != nil {
		return answer{}, fault.On(fault.Target, err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.method, at.String(), bytes.NewReader(q.body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", cmp.Or(x.userAgent, "dray"))
	req.Header.Set("X-Ms-Client-Request-Id", q.id)
	if q.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	x.sent.Header(req.Header.Get("Authorization"))
	began := time.Now()
	a, err := x.exchange(req)
	x.watch.Requests.Tell(event.Request{Host: at.Host, Name: x.host, Method: q.method,
		URL: withoutQuery(q.url), Status: a.status, Sent: int64(len(q.body)), Received: int64(len(a.body)),
		Took: time.Since(began), Err: err})
	if left, e := strconv.Atoi(a.header.Get("X-Ms-Ratelimit-Remaining-Subscription-Writes")); e == nil {
		x.pace.left(left)
	}
	if err != nil {
		return a, x.unreached(q, at, err)
	}
	return a, nil
}

// unreached returns the fault for a request without an answer: Refused if the certificate is not trusted, else
// Unavailable.
func (x *exchange) unreached(q call, at *url.URL, err error) error {
	f := &fault.Fault{Kind: fault.Unavailable, Side: fault.Target, Op: q.op, Name: x.host, Err: x.sent.Error(err)}
	trusted := x.reach.authorities(x.host)
	hint, bad := reason.Certificate(at, err, trusted)
	if bad == nil {
		return f
	}
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown && len(trusted) == 0 {
		hint = "let this machine trust that authority, or set ca-file of the registry beside azure.resource-manager"
	}
	f.Kind, f.Hint, f.Err = fault.Refused, hint, bad
	return f
}

// exchange uses the RoundTripper directly, because an http.Client would follow redirects.
func (x *exchange) exchange(req *http.Request) (answer, error) {
	resp, err := x.http.RoundTrip(req)
	if err != nil {
		return answer{header: http.Header{}}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header, sent: x.sent}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1)); err == nil && len(a.body) > maxAnswer {
		err = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return a, err
}

// withoutQuery returns an URL without its query: that of an operation has a signature.
func withoutQuery(at string) string {
	bare, _, _ := strings.Cut(at, "?")
	return bare
}
