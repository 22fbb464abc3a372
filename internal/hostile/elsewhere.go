package hostile

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray/internal/testbed"
)

// Canary is a listener that must not be trusted. It answers as a registry, a token service and a
// blob store would, so that a client continues. It records the credentials that it receives.
type Canary struct {
	*testbed.Registry

	mu    sync.Mutex
	heard []string
}

// Elsewhere starts a Canary on another port of 127.0.0.1.
func Elsewhere(tb testing.TB, o testbed.Options) *Canary {
	tb.Helper()
	c := &Canary{}
	c.Registry = testbed.Serve(tb, http.HandlerFunc(c.answer), o)
	return c
}

// Credentials lists everything that looks like a secret in the requests so far, for example "GET
// /x: header Authorization: Basic …". A correct client sends none.
func (c *Canary) Credentials() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.heard)
}

func (c *Canary) answer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	_, _ = io.Copy(io.Discard, r.Body)
	c.note(r, string(body))
	switch {
	case strings.Contains(r.URL.Path, "token") || strings.Contains(r.URL.Path, "oauth2"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"token":"stolen","access_token":"stolen","refresh_token":"stolen"}`)
	case r.Method == http.MethodPost || r.Method == http.MethodPatch:
		w.Header().Set("Location", r.URL.RequestURI())
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(r.ContentLength-1, 0)))
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut:
		w.Header().Set("Location", r.URL.Path)
		w.Header().Set("Docker-Content-Digest", r.URL.Query().Get("digest"))
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (c *Canary) note(r *http.Request, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	say := func(where, what string) {
		c.heard = append(c.heard, r.Method+" "+r.URL.Path+": "+where+": "+what)
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		if v := r.Header.Get(name); v != "" {
			say("header "+name, v)
		}
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		form = nil
	}
	for _, name := range []string{"password", "refresh_token", "access_token", "client_secret"} {
		if v := form.Get(name); v != "" {
			say("form "+name, v)
		}
		if v := r.URL.Query().Get(name); v != "" {
			say("query "+name, v)
		}
	}
}
