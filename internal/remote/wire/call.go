package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/echo"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/room"
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
	Access      *Access    // login and scopes; nil sends no login
	Secrets     []string   // what Body has, and no error may repeat
	Sent        *echo.Sent // what no error may repeat; set by the Host that sends the request
	Observe     event.Watch

	// Body opens the request's body from its beginning, once for each exchange and for each redirect
	// in it. Nil means that there is none.
	Body func(ctx context.Context) (io.ReadCloser, error)
	Size int64 // of the body, in bytes
	// Closing is how much longer than usual the answer may take to begin, because the registry
	// works on the body first.
	Closing time.Duration
	// Late is the number of attempts that got no answer in time.
	Late int
	// Limit is the longest body of an answer in bytes. 0 means maxErrorBody.
	Limit int64
	// Room is what a long body of an answer takes memory from. The caller closes it when it needs the body no
	// more. Nil takes no room.
	Room *room.Account
	// Take reads the body of a 200, which then is not stored in Answer.Raw. It is called again for
	// each attempt.
	Take func(io.Reader) error
	// Yield has the meaning of remote.Use.Yield.
	Yield  func() bool
	Single bool // one attempt: the caller repeats the request
	// Patience is how long the host may stay silent, or answer with errors that pass, because another
	// place can answer as well. 0 means as long as the options say.
	Patience time.Duration
	Stay     bool // redirects are errors
	Small    bool // in the lane Down: the expected body is shorter than limit.SmallBody
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

// Fault returns an error of this call. It does not repeat what was sent as a login.
func (c *Call) Fault(kind fault.Kind, hint string, err error) error {
	return c.Sent.Error(&fault.Fault{Kind: kind, Op: c.Op, Name: c.Name, Hint: hint, Err: err})
}

// Named adds the operation and the name of this call to err. The result does not repeat what was sent as a login.
func (c *Call) Named(err error) error {
	err = c.Sent.Error(err)
	var f *fault.Fault
	if !errors.As(err, &f) {
		return c.Fault(fault.KindOf(err), "", err)
	}
	if f.Op == c.Op && f.Name == c.Name {
		return err
	}
	// A bare Fault without an Op names the host, which c.Name contains.
	if bare, ok := err.(*fault.Fault); ok && bare.Op == "" { //nolint:errorlint // only f itself
		return &fault.Fault{Kind: f.Kind, Op: c.Op, Name: c.Name, RetryAfter: f.RetryAfter, Hint: f.Hint, Err: f.Err}
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

// within returns d, or the call's Patience if that is shorter.
func (c *Call) within(d time.Duration) time.Duration {
	if c.Patience > 0 {
		return min(d, c.Patience)
	}
	return d
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

// Problem returns the code of the first error in the body, and the text of all: that of the first,
// and code and text of the others. Both are "" if the body has no error. Says finds any code.
func (a *Answer) Problem() (code, text string) { return reason.ProblemsOf(a.Header, a.Raw).Quoted() }

// Says reports whether one of the errors in the body has one of the codes (distribution-spec v1.1.1
// §Error Codes). A registry may report several errors, in any order.
func (a *Answer) Says(codes ...string) bool { return reason.ProblemsOf(a.Header, a.Raw).Have(codes...) }

// maxErrorBody is the number of bytes that are read of an answer that is not the requested content:
// 64 KiB.
const maxErrorBody = 64 << 10
