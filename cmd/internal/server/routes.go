package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/api"
	"github.com/drayage/dray/cmd/internal/arm"
	"github.com/drayage/dray/cmd/internal/server/azure"
	"github.com/drayage/dray/cmd/internal/server/door"
	"github.com/drayage/dray/cmd/internal/server/gate"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/internal/name"
)

// routes returns the handler of everything that clients reach. It refuses cross-origin requests that write, so that a
// web page cannot use a browser's credentials. Tools send no header Origin and are not affected.
func (s *serving) routes() http.Handler {
	mux := http.NewServeMux()
	g := &gate.Gate{
		Registry:  s.reg,
		Host:      s.hosts[0],
		Access:    s.access,
		DB:        s.db,
		Log:       s.config.Log,
		PublicURL: s.config.PublicURL,
		Anonymous: s.config.anonymous(),
		Memory:    s.memory,
	}
	mux.Handle("/v2/", g)
	mux.HandleFunc("GET "+gate.TokenPath, g.Token)
	mux.Handle(wire.Prefix+"/", s.api())
	s.health(mux)
	mux.Handle("GET /metrics", s.authenticated(g, s.metrics.Handler()))
	mux.HandleFunc("GET /{$}", s.home)
	return s.middleware(http.NewCrossOriginProtection().Handler(azure.Mount(mux, s.azure())))
}

// api returns the handler of the REST API.
func (s *serving) api() http.Handler {
	registries, fallback := s.config.registries(s.hosts)
	all := []wire.Registry{}
	for name, r := range registries {
		all = append(all, wire.Registry{Name: name, Host: r.Host, Aliases: r.Aliases})
	}
	slices.SortFunc(all, func(a, b wire.Registry) int { return strings.Compare(a.Name, b.Name) })
	return api.New(api.Config{
		Verb:       s.service,
		Queue:      s.queue,
		Access:     s.access,
		Registries: wire.Registries{Registries: all, Default: fallback},
		Version:    s.config.Version,
		Patience:   s.config.Stall,
		Streams:    access.NewPlaces(s.config.PerPrincipal.Streams),
		Held:       s.held,
		Uploads:    access.NewPlaces(uploadsAtOnce),
		Memory:     s.memory,
	})
}

const uploadsAtOnce = 32 // plans that one principal uploads

// azure returns what Azure's clients reach.
func (s *serving) azure() azure.Config {
	var all []arm.Registry
	registries, _ := s.config.registries(s.hosts)
	for name, r := range registries {
		all = append(all, arm.Registry{Name: name, Host: r.Host, Aliases: r.Aliases})
	}
	slices.SortFunc(all, func(a, b arm.Registry) int { return strings.Compare(a.Name, b.Name) })
	return azure.Config{DB: s.db, Registry: s.reg, Vault: s.vault, Client: s.relays, ARM: arm.Config{
		Suffix:     s.config.Domain,
		Access:     s.access,
		Submit:     s.service.In(name.Azure).Submit,
		Visible:    s.service.Visible,
		Watch:      s.queue.Watch,
		Registries: all,
		PublicURL:  s.config.PublicURL,
		Held:       s.held,
		Host:       s.hosts[0],
		Memory:     s.memory,
	}}
}

// opsRoutes returns the handler of the listener for operators, which needs no authentication.
func (s *serving) opsRoutes() http.Handler {
	mux := http.NewServeMux()
	s.health(mux)
	mux.Handle("GET /metrics", s.metrics.Handler())
	return s.middleware(mux)
}

func (s *serving) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { door.Plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
}

// authenticated passes a request on if its principal has shown credentials; the role does not matter.
func (s *serving) authenticated(g *gate.Gate, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := s.access.Authenticate(r)
		if err != nil {
			g.Refuse(w, r, p, err)
			return
		}
		if p.Via == access.ViaNothing {
			g.Challenge(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// home answers GET / with a short text.
func (s *serving) home(w http.ResponseWriter, _ *http.Request) {
	door.Plain(w, http.StatusOK, "This is dray. The registry is at /v2/, the API at /api/v1/, "+
		"its description at /api/v1/openapi.json.")
}

// ready answers /readyz: one line for each part of the process, with status 503 if one is not ready. With the query
// "pulls", a full disk counts as ready, because it refuses only pushes.
func (s *serving) ready(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusOK, ""
	for _, f := range s.readiness(r.Context()) {
		text += fmt.Sprintf("%s: %s\n", f.What, f.Text)
		if !f.OK && (f.What != wire.Space || !r.URL.Query().Has("pulls")) {
			status = http.StatusServiceUnavailable
		}
	}
	door.Plain(w, status, strings.TrimSuffix(text, "\n"))
}
