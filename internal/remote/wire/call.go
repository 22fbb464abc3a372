package wire

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

// Lane says what a request carries, and so which gate and transport it takes.
type Lane int

const (
	asking Lane = iota // no blob body
	Down               // the answer is a blob; a 2xx leaves its body open
	Up                 // the request is a blob; it is sent once, its owner repeats it
)

// Call is one thing to ask of a registry.
type Call struct {
	Op, Name    string // for errors and events
	Method      string
	Path, Query string   // below the origin
	Encoded     bool     // path is percent-encoded already
	URL         *url.URL // instead of path and query: an upload location, a token service
	Header      http.Header
	Lane        Lane
	Access      *Access // whose login; nil sends none
	Observe     event.Watch

	Body    func(ctx context.Context) (io.ReadCloser, error) // nil for none; called for each exchange
	Size    int64                                            // of the body
	Closing time.Duration                                    // how long the answer may take once the body is sent; 0 is Options.Stall
	Limit   int64                                            // of the answer's body; 0 is maxErrorBody
	Take    func(io.Reader) error                            // reads the body of a 200 in place of Answer.Raw, anew for each try
	Yield   func() bool                                      // as in Use
	Single  bool                                             // one try: the caller repeats
	Stay    bool                                             // redirects are refused
	Small   bool                                             // on the lane down: less than smallBody is to come
}

// Answer is what a registry said. Its body was read into raw, but for a 2xx on
// the lane down, whose body the owner closes.
type Answer struct {
	Status  int
	Header  http.Header
	Length  int64 // Content-Length, or -1
	Raw     []byte
	Over    bool // the body is longer than raw
	Body    io.ReadCloser
	Away    bool     // not from the registry's origin
	Asked   *url.URL // what the registry was asked for, before redirects: Location is relative to it
	At      *url.URL // what answered
	Renewed bool     // 401 on the lane up, and a new token is there now
}

// Close lets go of a body that was not read.
func (a *Answer) Close() {
	if a.Body != nil {
		a.Body.Close()
		a.Body = nil
	}
}

// Fault is an error of this call.
func (c *Call) Fault(kind fault.Kind, hint string, err error) error {
	return &fault.Fault{Kind: kind, Op: c.Op, Name: c.Name, Hint: hint, Err: err}
}

// Named says of which call err is.
func (c *Call) Named(err error) error {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return c.Fault(fault.Internal, "", err)
	}
	if f.Op == c.Op && f.Name == c.Name {
		return err
	}
	return &fault.Fault{Kind: f.Kind, Op: c.Op, Name: c.Name, RetryAfter: f.RetryAfter, Err: err}
}

// Stopped tells the caller's giving up from a failure.
func (c *Call) Stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return c.Fault(fault.Canceled, "", context.Cause(ctx))
	}
	return c.Named(err)
}

// Class of a request: a registry that lets everybody read may still want a login for writing.
func (c *Call) Class() int {
	if c.Method == http.MethodGet || c.Method == http.MethodHead {
		return 0
	}
	return 1
}

// OnManifest reports whether c reads or looks at a manifest. Both tell what is left; only a GET is counted.
func (c *Call) OnManifest() bool {
	return (c.Method == http.MethodGet || c.Method == http.MethodHead) && strings.Contains(c.Path, "/manifests/")
}

// Checked refuses what is neither a tag nor a digest before it gets into a URL.
func (c *Call) Checked(reference string) error {
	if ref.Digest(reference) != nil && ref.Tag(reference) != nil {
		return c.Fault(fault.Invalid, "", fmt.Errorf("%.100q is neither a tag nor a digest", reference))
	}
	return nil
}

// KindOf is what an answer of a status with an error of code and text means.
func KindOf(status int, code, text string) fault.Kind {
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

// Problem reads the first error of the body. Both are "" where it has none.
func (a *Answer) Problem() (code, text string) {
	var body struct {
		Errors []struct {
			Code    any `json:"code"`
			Message any `json:"message"`
		} `json:"errors"`
		Details any `json:"details"` // token services
		Message any `json:"message"`
	}
	if json.Unmarshal(a.Raw, &body) != nil {
		if t := a.Header.Get("Content-Type"); strings.HasPrefix(t, "text/plain") {
			return "", Clean(string(a.Raw))
		}
		return "", ""
	}
	word := func(v any) string { s, _ := v.(string); return s }
	if len(body.Errors) > 0 {
		return Clean(word(body.Errors[0].Code)), Clean(word(body.Errors[0].Message))
	}
	if s := word(body.Details); s != "" {
		return "", Clean(s)
	}
	return "", Clean(word(body.Message))
}

// Clean keeps what can be printed, at most 200 characters on one line.
func Clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:199]) + "…"
	}
	return s
}

// Quote is the error that tells what the registry answered.
func Quote(status int, code, text string) error {
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
