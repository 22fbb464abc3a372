package acr

import (
	"context"
	"net/http"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/memory"
)

// Config holds what New needs.
type Config struct {
	Access *access.Access
	// Audit writes a change to the audit log. If it returns an error, nothing is changed.
	Audit func(ctx context.Context, e access.Entry) error
	// Memory is the budget of the bodies that clients send; nil means no limit.
	Memory    *memory.Budget
	PublicURL string // the URL that clients use; "" means the host of each request
}

type handler struct {
	Config
	host  string
	shelf Shelf
}

// one returns the description of a repository, a tag or a manifest.
func (h *handler) one(ctx context.Context, a at) (any, error) {
	body := map[string]any{"registry": h.host, "imageName": a.repo}
	switch a.list {
	case "_tags":
		t, err := h.shelf.Tag(ctx, a.repo, a.name)
		body["tag"] = t
		return body, err
	case "_manifests":
		m, err := h.shelf.Manifest(ctx, a.repo, a.name)
		body["manifest"] = m
		return body, err
	}
	d, err := h.shelf.Repository(ctx, a.repo)
	d.Registry, d.ImageName = h.host, a.repo
	return d, err
}

// place returns the name of a repository in rules and in the audit log.
func (h *handler) place(repo string) string { return h.host + "/" + repo }

// allowed reports whether the rules grant all asks. If not, it answers the request.
func (h *handler) allowed(w http.ResponseWriter, r *http.Request, p access.Principal, asks ...access.Ask) bool {
	for _, ask := range asks {
		err := h.Access.Allow(p, ask)
		switch {
		case err == nil:
		case p.Name == access.Anonymous || FallsBack(r):
			h.challenge(w, r, withHint(err))
			return false
		default:
			Refuse(w, http.StatusForbidden, "DENIED", withHint(err))
			return false
		}
	}
	return true
}

func (h *handler) challenge(w http.ResponseWriter, r *http.Request, cause string) {
	w.Header().Set("WWW-Authenticate", Challenge(access.Base(h.PublicURL, r), Scope(r)))
	Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", cause)
}
