package testbed

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Registry is a running registry. Its methods are safe for concurrent use.
type Registry struct {
	Host   string       // "127.0.0.1:port"
	URL    string       // "http://127.0.0.1:port", no slash at the end
	Dial   Dial         // reaches this registry with Pipes, any address with Loopback
	Client *http.Client // trusts the certificate and speaks the protocol; sends no credentials
	Issuer *Issuer      // nil without Bearer authentication

	auth    Auth
	handler http.Handler // the registry itself, behind log, front and authentication
	cert    *x509.Certificate

	running sync.WaitGroup // the running handlers

	mu     sync.Mutex
	closed bool
	log    []*Request
}

// Dial opens a connection as net.Dialer.DialContext does.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// Issuer is a token service: the one that the Bearer challenges of a Registry name. Its tokens look
// like JWTs (with exp) but their signature cannot be checked: the issuer remembers the tokens that
// it issued. It is safe for concurrent use.
type Issuer struct {
	URL    string    // the realm
	Server *Registry // its own listener with OtherListener; nil otherwise

	auth Auth

	mu       sync.Mutex
	issued   int
	tokens   map[string]token
	refreshs map[string]string // refresh token to user
}

type token struct {
	rights map[need]bool
	ends   time.Time
}

// Log returns a copy of all requests since the last Reset, in the order of their arrival. It
// includes requests that have not ended.
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

// Requests returns the number of requests since the last Reset.
func (r *Registry) Requests() int { return r.Count("", "") }

// Count returns the number of requests of a method and kind since the last Reset. "" counts any.
func (r *Registry) Count(method string, kind Kind) int {
	n := 0
	for _, q := range r.Log() {
		if (method == "" || q.Method == method) && (kind == "" || q.Kind == kind) {
			n++
		}
	}
	return n
}

// Sent returns the bytes of bodies that the handlers read and wrote for requests of a method and
// kind. "" counts any.
func (r *Registry) Sent(method string, kind Kind) (in, out int64) {
	for _, q := range r.Log() {
		if (method == "" || q.Method == method) && (kind == "" || q.Kind == kind) {
			in += q.In
			out += q.Out
		}
	}
	return in, out
}

// Story formats the log for failure messages, one line for each request, without headers.
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

// recorder records a response before the client can see it, so that a test that has the response
// also finds it in the log.
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

// Flush and Hijack exist for handlers that use type assertions for them.
func (w *recorder) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
