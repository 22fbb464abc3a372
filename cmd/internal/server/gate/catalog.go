package gate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/drayage/dray/cmd/internal/access"
)

// catalog lists the repositories that the principal may pull. distribution's own catalog lists every
// repository, so only an admin gets that.
func (g *Gate) catalog(w http.ResponseWriter, r *http.Request, p access.Principal) {
	if p.Admin() || r.Method != http.MethodGet {
		g.Registry.ServeHTTP(w, r)
		return
	}
	query := r.URL.Query()
	n, err := strconv.Atoi(query.Get("n"))
	if query.Has("n") && (err != nil || n < 0) {
		refuse(w, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "n is not a number")
		return
	}
	if n == 0 || n > maxCatalog {
		n = maxCatalog
	}
	repos := []string{}
	err = g.Registry.Repositories(r.Context(), func(path string) error {
		if path > query.Get("last") && g.Access.Allow(p, access.Ask{Verb: verbPull, Source: g.place(path)}) == nil {
			repos = append(repos, path)
		}
		return nil
	})
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "UNKNOWN", "the storage does not answer")
		return
	}
	slices.Sort(repos) // the storage lists "a/b" before "a-b"; clients expect the order of the names
	if len(repos) > n {
		repos = repos[:n]
		last := url.QueryEscape(repos[n-1])
		w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?n=%d&last=%s>; rel="next"`, n, last))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string][]string{"repositories": repos}) // an error means that the client has gone
}

const maxCatalog = 1000 // repositories in one answer
