package relay

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/acr"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry/turns"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/ref"
)

// Config holds what New needs.
type Config struct {
	Access *access.Access
	// Audit writes a change to the audit log. If it returns an error, nothing is changed.
	Audit  func(ctx context.Context, e access.Entry) error
	Client *remote.Client
	// Seal encrypts the address of an upload for a client, and Open is its reverse. Both bind it to name.
	Seal   func(plain []byte, name string) ([]byte, error)
	Open   func(sealed []byte, name string) ([]byte, error)
	Memory *memory.Budget
	// Tokens answers the requests for tokens.
	Tokens    http.Handler
	PublicURL string // the URL that clients use for the registry; "" means the host of each request
}

// The verbs that the rules must grant.
const (
	verbPull   = "pull"
	verbPush   = "push"
	verbDelete = "delete"
)

type handler struct {
	Config
	host  string
	shelf shelf
	puts  turns.Turns // of tags, by "REPO:TAG": between the look at a tag and its put no other put may come
}

// place returns the name of a repository in rules and in the audit log.
func (h *handler) place(repo string) string { return h.host + "/" + repo }

// allowed reports whether the rules grant one of asks. If not, it answers the request.
func (h *handler) allowed(w http.ResponseWriter, r *http.Request, p access.Principal, asks ...access.Ask) bool {
	var first error
	for _, ask := range asks {
		err := h.Access.Allow(p, ask)
		if err == nil {
			return true
		}
		if first == nil {
			first = err
		}
	}
	if p.Name == access.Anonymous || acr.FallsBack(r) {
		h.challenge(w, r, fault.HintOf(first))
		return false
	}
	acr.Fail(w, first)
	return false
}

func (h *handler) challenge(w http.ResponseWriter, r *http.Request, cause string) {
	w.Header().Set("WWW-Authenticate", acr.Challenge(access.Base(h.PublicURL, r), acr.Scope(r)))
	acr.Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", strings.TrimSuffix("authentication required; "+cause, "; "))
}

// open returns the repository at the registry.
func (h *handler) open(repo string, actions remote.Actions) *remote.Repository {
	return h.Client.Open(ref.Repo{Host: h.host, Path: repo}, remote.Use{Actions: actions}).Direct()
}

// sealedFor returns the name that an address is bound to: another principal cannot use it, nor for another repository.
func (h *handler) sealedFor(p access.Principal, repo string) string {
	return "upload of " + p.Name + " to " + h.place(repo)
}

// query returns what is passed on of the query of r.
func query(r *http.Request, names ...string) url.Values {
	q := url.Values{}
	for _, name := range names {
		if v := r.URL.Query().Get(name); v != "" {
			q.Set(name, v)
		}
	}
	return q
}

// kept returns those of the headers from that names has.
func kept(from http.Header, names ...string) http.Header {
	to := http.Header{}
	for _, name := range names {
		if v := from.Values(name); len(v) > 0 {
			to[http.CanonicalHeaderKey(name)] = []string{strings.Join(v, ", ")}
		}
	}
	return to
}
