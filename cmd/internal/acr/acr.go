package acr

import (
	"net/http"
	"strings"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// New returns the handler of the paths below /acr/v1/ for one registry. host is its name in rules and in the audit log.
func New(c Config, host string, s Shelf) http.Handler {
	return &handler{Config: c, host: host, shelf: s}
}

// ServeHTTP answers a request for a path below /acr/v1/.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ours := strings.CutPrefix(r.URL.Path, Prefix)
	if !ours {
		unsupported(w, http.StatusNotFound, "not a path of this API")
		return
	}
	p, err := h.Access.Authenticate(r)
	switch {
	case err != nil && !fault.Is(err, fault.Denied):
		Fail(w, err)
		return
	case err != nil:
		h.challenge(w, r, withHint(err))
		return
	case p.Via == access.ViaNothing && r.Header.Get("Authorization") == "":
		// A client asks first without a token, to learn where to get one. One without a login gets an anonymous token.
		h.challenge(w, r, "authentication required")
		return
	}
	switch {
	case rest == "_catalog" && r.Method == http.MethodGet:
		h.catalog(w, r, p)
	case rest == "_deleted" || strings.HasPrefix(rest, "_deleted/"):
		h.deleted(w, r, strings.TrimPrefix(rest, "_deleted/"))
	default:
		h.content(w, r, p, parse(rest))
	}
}

// content answers a request for a repository or for what is in it.
func (h *handler) content(w http.ResponseWriter, r *http.Request, p access.Principal, a at) {
	// A text that is not a name could become a path with another meaning.
	_, err := ref.NewRepo(h.host, a.repo)
	switch {
	case err != nil, a.list == "_tags" && a.name != "" && ref.Tag(a.name) != nil:
		Refuse(w, http.StatusBadRequest, "NAME_INVALID", "not the name of a repository or tag")
		return
	case a.list == "_manifests" && a.name != "" && ref.Digest(a.name) != nil:
		Refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "not a digest; a tag is read at _tags")
		return
	}
	switch r.Method {
	case http.MethodGet:
		h.read(w, r, p, a)
	case http.MethodPatch:
		h.update(w, r, p, a)
	case http.MethodDelete:
		h.remove(w, r, p, a)
	default:
		unsupported(w, http.StatusMethodNotAllowed, "dray does not have this operation")
	}
}

func (h *handler) read(w http.ResponseWriter, r *http.Request, p access.Principal, a at) {
	if !h.allowed(w, r, p, access.Ask{Verb: verbPull, Source: h.place(a.repo)}) {
		return
	}
	switch {
	case a.list == "_tags" && a.name == "":
		h.tags(w, r, a.repo)
	case a.list == "_manifests" && a.name == "":
		h.manifests(w, r, a.repo)
	default:
		body, err := h.one(r.Context(), a)
		if err != nil {
			Fail(w, err)
			return
		}
		Answer(w, http.StatusOK, body)
	}
}

// deleted answers the requests for what was deleted softly. dray deletes at once, so the lists are empty.
func (h *handler) deleted(w http.ResponseWriter, r *http.Request, rest string) {
	switch a := parse(rest); {
	case r.Method != http.MethodGet:
		unsupported(w, http.StatusMethodNotAllowed, "dray deletes at once, so there is nothing to restore")
	case rest == "_catalog":
		Answer(w, http.StatusOK, map[string]any{"repositories": []string{}})
	case a.list != "" && a.name == "":
		Answer(w, http.StatusOK, map[string]any{"registry": h.host, "imageName": a.repo, a.list[1:]: []any{}})
	default:
		Refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "dray deletes at once, so nothing is there")
	}
}
