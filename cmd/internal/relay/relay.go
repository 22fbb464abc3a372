package relay

import (
	"net/http"

	"github.com/drayage/dray/cmd/internal/acr"
)

// New returns the handler of the registry host. It serves /v2/, /acr/v1/ and the token endpoints.
func New(c Config, host string) http.Handler {
	h := &handler{Config: c, host: host, shelf: shelf{client: c.Client, host: host}}
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/", h.v2)
	mux.Handle("/v2/token", c.Tokens)
	mux.Handle("/oauth2/", c.Tokens)
	data := acr.Config{Access: c.Access, Audit: c.Audit, Memory: c.Memory, PublicURL: c.PublicURL}
	mux.Handle(acr.Prefix, acr.New(data, host, h.shelf))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		acr.Refuse(w, http.StatusNotFound, "UNSUPPORTED", "not a path of a registry")
	})
	return mux
}
