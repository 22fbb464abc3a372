// Package door answers the requests that come before a server is ready.
package door

import (
	"fmt"
	"net/http"
	"time"
)

// Door is the handler of a listener. Before it is open, requests wait for patience, and then it says what the
// process waits for.
type Door struct {
	opened chan struct{}
	next   http.Handler // set before opened is closed
	waits  func() string
}

// patience is shorter than clients wait for the header of an answer, and longer than a server on SQLite needs to start.
const patience = 5 * time.Second

// New returns a Door that is not open. waits returns what the process waits for, for people.
func New(waits func() string) *Door { return &Door{opened: make(chan struct{}), waits: waits} }

// Open passes the requests that wait, and all others, to h.
func (d *Door) Open(h http.Handler) {
	d.next = h
	close(d.opened)
}

func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.opensFor(r) {
		d.next.ServeHTTP(w, r)
		return
	}
	// The next request comes over another connection, which may present a client certificate.
	w.Header().Set("Connection", "close")
	if r.URL.Path == "/healthz" {
		Plain(w, http.StatusOK, "ok")
		return
	}
	w.Header().Set("Retry-After", "1")
	Plain(w, http.StatusServiceUnavailable, d.waits())
}

// opensFor waits until the door is open. It does not wait for requests about the process itself.
func (d *Door) opensFor(r *http.Request) bool {
	select {
	case <-d.opened:
		return true
	default:
	}
	if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		return false
	}
	select {
	case <-d.opened:
		return true
	case <-r.Context().Done():
	case <-time.After(patience):
	}
	return false
}

// Plain answers with a line of text.
func Plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
