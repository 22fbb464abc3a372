package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
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

// class of a request: a registry that lets everybody read may still want a login for writing.
func (c *call) class() int {
	if c.method == http.MethodGet || c.method == http.MethodHead {
		return 0
	}
	return 1
}

// onManifest reports whether c reads or looks at a manifest. Both tell what is left; only a GET is counted.
func (c *call) onManifest() bool {
	return (c.method == http.MethodGet || c.method == http.MethodHead) && strings.Contains(c.path, "/manifests/")
}

// checked refuses what is neither a tag nor a digest before it gets into a URL.
func (c *call) checked(reference string) error {
	if ref.Digest(reference) != nil && ref.Tag(reference) != nil {
		return c.fault(fault.Invalid, "", fmt.Errorf("%.100q is neither a tag nor a digest", reference))
	}
	return nil
}

func kindOf(status int, code, text string) fault.Kind {
	words := strings.ToLower(code + " " + text)
	full := strings.Contains(words, "quota") || strings.Contains(words, "no space left") || strings.Contains(words, "storage limit")
	switch {
	case status == http.StatusInsufficientStorage, full && status >= 400:
		return fault.Full
	case status == http.StatusTooManyRequests, code == "TOOMANYREQUESTS" && status >= 400 && status < 500:
		return fault.Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return fault.Denied
	case status == http.StatusNotFound, status == http.StatusGone:
		return fault.NotFound
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return fault.Conflict
	case status == http.StatusRequestEntityTooLarge:
		return fault.TooLarge
	case status == http.StatusRequestTimeout:
		return fault.Unavailable
	case status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported, status < 500:
		return fault.Invalid
	}
	return fault.Unavailable
}

// problem reads the first error of the body. Both are "" where it has none.
func (a *answer) problem() (code, text string) {
	var body struct {
		Errors []struct {
			Code    any `json:"code"`
			Message any `json:"message"`
		} `json:"errors"`
		Details any `json:"details"` // token services
		Message any `json:"message"`
	}
	if json.Unmarshal(a.raw, &body) != nil {
		if t := a.header.Get("Content-Type"); strings.HasPrefix(t, "text/plain") {
			return "", clean(string(a.raw))
		}
		return "", ""
	}
	word := func(v any) string { s, _ := v.(string); return s }
	if len(body.Errors) > 0 {
		return clean(word(body.Errors[0].Code)), clean(word(body.Errors[0].Message))
	}
	if s := word(body.Details); s != "" {
		return "", clean(s)
	}
	return "", clean(word(body.Message))
}

// clean keeps what can be printed, at most 200 characters on one line.
func clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:199]) + "…"
	}
	return s
}

func quote(status int, code, text string) error {
	said := strings.TrimSpace(strings.Trim(code+": "+text, ": "))
	if said == "" {
		if status == http.StatusNotFound {
			return errors.New("not there, or this login may not see it")
		}
		return fmt.Errorf("the registry answers %d %s", status, http.StatusText(status))
	}
	return fmt.Errorf("the registry answers %d %s", status, said)
}

// maxErrorBody is how much of an answer is read that is not the content asked for: 64 KiB.
const maxErrorBody = 64 << 10
