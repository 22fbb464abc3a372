package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
)

// Passed is a request of another client that a Repository passes on.
type Passed struct {
	Method string
	Tail   string      // the path below the repository: "/manifests/v1", "/blobs/uploads/"
	Upload string      // the address of an upload, from a Passage; it replaces Tail
	Query  url.Values  // added to the query of the address
	Header http.Header // what is passed on of the headers of the client; never its login
	Body   io.Reader   // nil means none; it is read once
	Size   int64       // of Body in bytes; -1 means that it is not known
}

// Passage is the answer to a Passed. The caller closes Body.
type Passage struct {
	Status int
	Header http.Header
	Length int64 // Content-Length, or -1
	Body   io.ReadCloser
	Upload string // the address of an upload, if the answer has one
}

// passing are the statuses that are passed back. Others are errors of the server that passes the request on: of its
// login, or of the way to the registry.
var passing = []int{200, 201, 202, 204, 206, 400, 404, 405, 409, 412, 413, 415, 416}

// Pass sends a request of another client to the registry, with the login of r. It follows redirects, without the login,
// so that the client never learns where they lead. The address of an upload is told apart, because it may contain a
// secret.
func (r *Repository) Pass(ctx context.Context, p Passed) (*Passage, error) {
	c := r.handle.Call("pass on", p.Method, p.Tail, r.handle.Repo.String())
	c.Header, c.Query, c.Limit = p.Header, p.Query.Encode(), oci.MaxDocument
	if p.Upload != "" {
		at, err := url.Parse(p.Upload)
		if err != nil {
			return nil, c.Fault(fault.Invalid, "", errors.New("not the address of an upload"))
		}
		query := at.Query()
		maps.Copy(query, p.Query)
		if len(p.Query) > 0 {
			at.RawQuery = query.Encode()
		}
		c.URL, c.Query = at, ""
	}
	if p.Body != nil {
		c.Lane, c.Single, c.Size = wire.Up, true, p.Size
		c.Body = once(p.Body)
	}
	if p.Method == http.MethodGet && p.Upload == "" {
		c.Lane = wire.Down
	}
	a, err := r.handle.Host.Do(ctx, c, passing...)
	if err != nil {
		return nil, err
	}
	if a.Renewed { // the body is gone; the next request has a new token
		return nil, c.Fault(fault.Unavailable, "send the request again", errors.New("the login of the server was renewed"))
	}
	out := &Passage{Status: a.Status, Header: a.Header, Length: a.Length, Body: a.Body}
	if out.Body == nil {
		out.Body = io.NopCloser(bytes.NewReader(a.Raw))
	}
	if a.Status >= http.StatusBadRequest && p.Method != http.MethodHead {
		if err := out.hide(c.Sent.Cut, a.Away); err != nil {
			return nil, c.Fault(fault.Unavailable, "", err)
		}
	}
	if to := a.Header.Get("Location"); to != "" && (a.Status == http.StatusAccepted || a.Status == http.StatusNoContent) {
		origin, err := r.handle.Host.Origin(ctx)
		if err != nil {
			return nil, err
		}
		at, err := r.handle.Host.Located(origin, a.At, to)
		if err != nil {
			return nil, c.Named(err)
		}
		out.Upload = at.String()
	}
	return out, nil
}

// maxError is how many bytes of the body of an error are passed back.
const maxError = 64 << 10

// hide takes the login out of the body of an error: a server, or a proxy before it, may repeat the request. An error of
// a storage that the registry redirects to may repeat the signature of its address, so nothing of it is passed back.
func (p *Passage) hide(cut func(string, ...string) string, away bool) error {
	defer p.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(p.Body, maxError))
	if err != nil {
		return err
	}
	text := ""
	if !away {
		text = cut(string(raw))
	}
	p.Body, p.Length = io.NopCloser(strings.NewReader(text)), int64(len(text))
	return nil
}

// once returns a function that opens body the first time, and fails then.
func once(body io.Reader) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) {
		if body == nil {
			return nil, &fault.Fault{Kind: fault.Unavailable, Op: "send", Hint: "send the request again",
				Err: errors.New("the body was sent already")}
		}
		from := io.NopCloser(body)
		body = nil
		return from, nil
	}
}
