package testbed

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Kind says which endpoint of the distribution API a request is for.
type Kind string

const tokenPath = "/token"

// Endpoint is what a path means.
type Endpoint struct {
	Kind Kind
	Repo string // "" for Token, Ping, Catalog and Other
	Ref  string // tag, digest or upload session; "" where the endpoint has none
}

// Parse reads a URL path by distribution-spec v1.1.1 §Endpoints.
func Parse(path string) Endpoint {
	switch path {
	case "/v2", "/v2/":
		return Endpoint{Kind: Ping}
	case "/v2/_catalog":
		return Endpoint{Kind: Catalog}
	case tokenPath, "/oauth2/token", "/oauth2/exchange":
		return Endpoint{Kind: Token}
	}
	if own, ok := parseOwn(path); ok {
		return own
	}
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return Endpoint{Kind: Other}
	}
	if repo, ok := strings.CutSuffix(rest, "/tags/list"); ok {
		return Endpoint{Kind: Tags, Repo: repo}
	}
	for _, s := range []struct {
		infix string
		kind  Kind
	}{{"/blobs/uploads/", Upload}, {"/manifests/", Manifest}, {"/blobs/", Blob}, {"/referrers/", Referrer}} {
		if i := strings.LastIndex(rest, s.infix); i > 0 {
			return Endpoint{Kind: s.kind, Repo: rest[:i], Ref: rest[i+len(s.infix):]}
		}
	}
	return Endpoint{Kind: Other}
}

// parseOwn reads the paths of these APIs. Only ACR's name a repository here: they take the registry's tokens.
func parseOwn(path string) (Endpoint, bool) {
	if strings.HasPrefix(path, "/v2/repositories/") && strings.HasSuffix(path, "/tags") {
		return Endpoint{Kind: Own}, true
	}
	for _, prefix := range []string{"/api/v1/repository/", "/api/v2.0/projects/", "/orgs/", "/users/"} {
		if strings.HasPrefix(path, prefix) {
			return Endpoint{Kind: Own}, true
		}
	}
	rest, ok := strings.CutPrefix(path, "/acr/v1/")
	if !ok {
		return Endpoint{}, false
	}
	for _, infix := range []string{"/_tags", "/_manifests"} {
		if i := strings.LastIndex(rest, infix); i > 0 {
			return Endpoint{Kind: Own, Repo: rest[:i], Ref: strings.TrimPrefix(rest[i+len(infix):], "/")}, true
		}
	}
	return Endpoint{Kind: Own}, true
}

// Kinds of endpoints. Other is everything that is not named here.
const (
	Manifest Kind = "manifest"
	Blob     Kind = "blob"
	Upload   Kind = "upload" // POST starts, PATCH and PUT send, GET asks, DELETE ends
	Tags     Kind = "tags"
	Catalog  Kind = "catalog"
	Referrer Kind = "referrers"
	Token    Kind = "token" // /token, /oauth2/token, /oauth2/exchange
	Ping     Kind = "ping"  // /v2/
	Own      Kind = "own"   // what a registry has beside the distribution API; see Shelf
	Other    Kind = "other"
)

// Request is one recorded request and its answer.
type Request struct {
	Endpoint
	Method   string
	Path     string // as decoded by net/http
	RawQuery string
	Proto    string      // "HTTP/1.1", "HTTP/2.0"
	Header   http.Header // of the request
	At       time.Time

	Status int         // 0 when no header was sent
	Answer http.Header // of the response; nil when no header was sent
	In     int64       // body bytes read by the handlers
	Out    int64       // body bytes written by the handlers
}

// Log returns a copy of all requests since the last Reset, in the order in
// which they came. Requests still under way are in it.
func (r *Registry) Log() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Request, len(r.log))
	for i, q := range r.log {
		all[i] = *q
	}
	return all
}

// Reset empties the log.
func (r *Registry) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = nil
}

// Requests returns how many requests came since the last Reset.
func (r *Registry) Requests() int { return r.Count("", "") }

// Count returns how many requests of a method and kind came since the last
// Reset. "" counts any.
func (r *Registry) Count(method string, kind Kind) int {
	n := 0
	for _, q := range r.Log() {
		if (method == "" || q.Method == method) && (kind == "" || q.Kind == kind) {
			n++
		}
	}
	return n
}

// Sent returns the body bytes that were read by the handlers and written by
// them for requests of a method and kind. "" counts any.
func (r *Registry) Sent(method string, kind Kind) (in, out int64) {
	for _, q := range r.Log() {
		if (method == "" || q.Method == method) && (kind == "" || q.Kind == kind) {
			in += q.In
			out += q.Out
		}
	}
	return in, out
}

// Story prints the log, one line for each request, for failure messages. It
// shows no header.
func (r *Registry) Story() string {
	var b strings.Builder
	for _, q := range r.Log() {
		query := ""
		if q.RawQuery != "" {
			query = "?" + q.RawQuery
		}
		fmt.Fprintf(&b, "%3d %-6s %s%s in=%d out=%d\n", q.Status, q.Method, q.Path, query, q.In, q.Out)
	}
	return b.String()
}

func (r *Registry) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		q := &Request{
			Endpoint: Parse(req.URL.Path), Method: req.Method, Path: req.URL.Path, RawQuery: req.URL.RawQuery,
			Proto: req.Proto, Header: req.Header.Clone(), At: time.Now(),
		}
		r.begin(q)
		defer r.running.Done()
		req.Body = &recordedBody{ReadCloser: req.Body, r: r, q: q}
		next.ServeHTTP(&recorder{ResponseWriter: w, r: r, q: q}, req)
	})
}

func (r *Registry) begin(q *Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		panic(http.ErrAbortHandler)
	}
	r.running.Add(1)
	r.log = append(r.log, q)
}

type recordedBody struct {
	io.ReadCloser
	r *Registry
	q *Request
}

func (b *recordedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.r.mu.Lock()
	b.q.In += int64(n)
	b.r.mu.Unlock()
	return n, err
}

// recorder notes an answer before the client can see it, so that a test that
// has the answer finds it in the log.
type recorder struct {
	http.ResponseWriter
	r *Registry
	q *Request
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(code int) {
	w.note(code)
	w.ResponseWriter.WriteHeader(code)
}

func (w *recorder) note(code int) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	if w.q.Status < http.StatusOK {
		w.q.Status, w.q.Answer = code, w.Header().Clone()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.note(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	w.r.mu.Lock()
	w.q.Out += int64(n)
	w.r.mu.Unlock()
	return n, err
}

// Flush and Hijack are here for handlers that assert for them.
func (w *recorder) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
