package wire

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/ref"
)

// Lane says what a request carries. It decides which limit and which transport apply.
type Lane int

// Lanes of requests.
const (
	asking Lane = iota // no blob body
	Down               // the answer is a blob; the body of a 2xx is left open
	Up                 // the request is a blob; it is sent once, and its caller repeats it
)

// Call is one request to a registry.
type Call struct {
	Op, Name    string // for errors and events
	Method      string
	Path, Query string   // below the origin
	Encoded     bool     // Path is percent-encoded already
	URL         *url.URL // replaces Path and Query: an upload location, a token service
	Header      http.Header
	Lane        Lane
	Access      *Access // login and scopes; nil sends no login
	Observe     event.Watch

	// Body opens the request's body from its beginning, once for each exchange and for each redirect
	// in it. Nil means that there is none.
	Body func(ctx context.Context) (io.ReadCloser, error)
	Size int64 // of the body, in bytes
	// Closing is how long the answer may take once the body is sent. 0 means Options.Stall.
	Closing time.Duration
	// Limit is the longest body of an answer in bytes. 0 means maxErrorBody.
	Limit int64
	// Take reads the body of a 200, which then is not stored in Answer.Raw. It is called again for
	// each attempt.
	Take func(io.Reader) error
	// Yield has the meaning of remote.Use.Yield.
	Yield  func() bool
	Single bool // one attempt: the caller repeats the request
	Stay   bool // redirects are errors
	Small  bool // in the lane Down: the expected body is shorter than limit.SmallBody
}

// Answer is the answer of a registry. Its body is in Raw, except for a 2xx in the lane Down, whose
// body is open in Body. The caller closes it.
type Answer struct {
	Status  int
	Header  http.Header
	Length  int64 // Content-Length, or -1
	Raw     []byte
	Over    bool // the body is longer than Raw
	Body    io.ReadCloser
	Away    bool     // it does not come from the registry's origin
	Asked   *url.URL // the URL of the request, before redirects: a Link is relative to it
	At      *url.URL // the URL that answered: a Location is relative to it
	Renewed bool     // it is a 401 in the lane Up, and a new token is available now
}

// RefusesHead reports whether an answer to a HEAD says nothing about what was asked for, so that a
// GET may be answered otherwise: a registry, a proxy or a login that is not meant for HEAD, or a
// redirect whose signature is valid for GET only. A HEAD that is answered as a web page is not
// believed either.
func (a *Answer) RefusesHead() bool {
	switch a.Status {
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	case http.StatusBadRequest, http.StatusUnauthorized: // a signature that is refused by another host
		return a.Away
	}
	return false
}

// Close closes a body that was not read.
func (a *Answer) Close() {
	if a.Body != nil {
		a.Body.Close()
		a.Body = nil
	}
}

// Fault returns an error of this call.
func (c *Call) Fault(kind fault.Kind, hint string, err error) error {
	return &fault.Fault{Kind: kind, Op: c.Op, Name: c.Name, Hint: hint, Err: err}
}

// Named adds the operation and the name of this call to err.
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

// Stopped returns Canceled if ctx ended, and otherwise err with the name of this call.
func (c *Call) Stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return c.Fault(fault.Canceled, "", context.Cause(ctx))
	}
	return c.Named(err)
}

// Class returns 0 for a request that reads and 1 for one that writes. A registry that lets
// everybody read may still require a login for writing.
func (c *Call) Class() int {
	if c.Method == http.MethodGet || c.Method == http.MethodHead {
		return 0
	}
	return 1
}

// OnManifest reports whether c is a GET or HEAD of a manifest. Answers to both say how many pulls
// are left, but only a GET counts as a pull.
func (c *Call) OnManifest() bool {
	return (c.Method == http.MethodGet || c.Method == http.MethodHead) && strings.Contains(c.Path, "/manifests/")
}

// Checked returns an error if reference is neither a tag nor a digest, before it becomes part of a
// URL.
func (c *Call) Checked(reference string) error {
	if ref.Digest(reference) != nil && ref.Tag(reference) != nil {
		return c.Fault(fault.Invalid, "", fmt.Errorf("%.100q is neither a tag nor a digest", reference))
	}
	return nil
}

// KindOf returns the Kind of error that an answer means. code and text are those of Answer.Problem.
func KindOf(status int, code, text string) fault.Kind {
	words := strings.ToLower(code + " " + text)
	switch {
	case status == http.StatusTooManyRequests,
		strings.Contains(words, "toomanyrequests") && status >= 400 && status < 500:
		return fault.Throttled // Google's 429 speaks of a quota, too
	case status == http.StatusInsufficientStorage, status >= 400 && product.SaysFull(code+" "+text):
		return fault.Full
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

// problem is one error in the body of an answer.
type problem struct{ code, text string }

// problems returns the errors in the body, each once. The body of a token service, and plain text,
// are one error, which has a code only if it is one of OAuth.
func (a *Answer) problems() []problem {
	var body struct {
		Errors []struct {
			Code    any `json:"code"`
			Message any `json:"message"`
		} `json:"errors"`
		Details any `json:"details"` // of token services
		Message any `json:"message"`
		// RFC 6749 §5.2
		Error       any `json:"error"`
		Description any `json:"error_description"`
	}
	if json.Unmarshal(a.Raw, &body) != nil {
		if t := a.Header.Get("Content-Type"); strings.HasPrefix(t, "text/plain") {
			return []problem{{"", Clean(string(a.Raw))}}
		}
		return nil
	}
	word := func(v any) string { s, _ := v.(string); return Clean(s) }
	var all []problem
	for _, e := range body.Errors {
		if p := (problem{word(e.Code), word(e.Message)}); !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		p := problem{"", cmp.Or(word(body.Details), word(body.Description), word(body.Message))}
		if code := word(body.Error); !strings.Contains(code, " ") {
			p.code = code
		}
		all = []problem{p}
	}
	return all
}

// maxQuoted is the largest number of errors in a body that are quoted.
const maxQuoted = 3

// Problem returns the code of the first error in the body, and the text of all: that of the first,
// and code and text of the others. Both are "" if the body has no error. Says finds any code.
func (a *Answer) Problem() (code, text string) {
	all := a.problems()
	if len(all) == 0 {
		return "", ""
	}
	var said []string
	if all[0].text != "" {
		said = append(said, all[0].text)
	}
	for _, p := range all[1:min(len(all), maxQuoted)] {
		said = append(said, strings.Trim(p.code+": "+p.text, ": "))
	}
	if len(all) > maxQuoted {
		said = append(said, fmt.Sprintf("and %d more errors", len(all)-maxQuoted))
	}
	return all[0].code, strings.Join(said, "; ")
}

// Says reports whether one of the errors in the body has one of the codes (distribution-spec v1.1.1
// §Error Codes). A registry may report several errors, in any order.
func (a *Answer) Says(codes ...string) bool {
	return slices.ContainsFunc(a.problems(), func(p problem) bool { return slices.Contains(codes, p.code) })
}

// Clean returns the printable part of s on one line, shortened to 200 characters.
func Clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:199]) + "…"
	}
	return s
}

// Quote returns an error that repeats what the registry answered.
func Quote(status int, code, text string) error {
	said := strings.TrimSpace(strings.Trim(code+": "+text, ": "))
	if said == "" {
		if status == http.StatusNotFound {
			return errors.New("no such tag or repository, or this login may not see it")
		}
		return fmt.Errorf("the registry answers %d %s", status, http.StatusText(status))
	}
	return fmt.Errorf("the registry answers %d %s", status, said)
}

// maxErrorBody is the number of bytes that are read of an answer that is not the requested content:
// 64 KiB.
const maxErrorBody = 64 << 10
