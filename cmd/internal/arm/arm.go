package arm

import (
	"net/http"
	"strings"

	"github.com/drayage/dray/cmd/internal/access"
)

// Patterns returns the patterns of the paths that a mux must send to the handler of New.
func Patterns() []string {
	return []string{
		"/subscriptions", "/subscriptions/", "/tenants", "/providers/", "/metadata/",
		"/adfs/", "/" + tenantID + "/", "/dray/", "/oauth2/",
	}
}

// New returns the handler of the API. The handler authenticates requests itself, because Azure's
// clients expect errors in Azure's form.
func New(c Config) http.Handler {
	if c.Hold == 0 {
		c.Hold = defaultHold
	}
	h := &handler{Config: c, byName: map[string]registry{}}
	for _, r := range c.Registries {
		h.add(r)
	}
	return h
}

// Names returns the hosts of the registries but the embedded one, by the names that they have below Suffix.
func (c Config) Names() map[string]string {
	h := New(c).(*handler) //nolint:forcetypeassert // it is one
	all := map[string]string{}
	for name, known := range h.byName {
		if known.Host != c.Host && label().MatchString(name) {
			all[name] = known.Host
		}
	}
	return all
}

// ServeHTTP answers a request to any of Patterns.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if id := r.Header.Get("X-Ms-Client-Request-Id"); id != "" && len(id) <= 64 {
		w.Header().Set("X-Ms-Client-Request-Id", id)
	}
	path := segments(r.URL.Path)
	switch strings.ToLower(path[0]) {
	case "oauth2", "v2":
		h.registryTokens(w, r, path)
	case "metadata":
		h.metadata(w, r, path)
	case "adfs", tenantID, "dray":
		h.authority(w, r, path)
	default:
		h.manager(w, r, path)
	}
}

// manager answers the requests to the resource manager, which all require a login and an api-version.
func (h *handler) manager(w http.ResponseWriter, r *http.Request, path []string) {
	p, err := h.Access.Authenticate(r)
	if err != nil || p.Via == access.ViaNothing {
		h.unauthorized(w, r, err)
		return
	}
	done, err := h.take(w, r, p.Name, maxBody)
	if err != nil {
		refuse(w, err)
		return
	}
	defer done()
	if r.URL.Query().Get("api-version") == "" {
		writeError(w, http.StatusBadRequest, "MissingApiVersionParameter",
			"The api-version query parameter (?api-version=) is required for all requests.")
		return
	}
	if at, ok := scopeOf(path); ok {
		h.subscriptionPath(w, r, p, at)
		return
	}
	if r.Method == http.MethodGet && is(path, "tenants") {
		tenant := map[string]any{"id": "/tenants/" + tenantID, "tenantId": tenantID, "displayName": "dray"}
		answer(w, http.StatusOK, list(tenant))
		return
	}
	if r.Method == http.MethodGet && is(path, "providers", namespace, "operations") {
		operations(w)
		return
	}
	notFound(w, r)
}
