package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/api"
	"github.com/drayage/dray/cmd/internal/arm"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server/gate"
	"github.com/drayage/dray/cmd/internal/wire"
)

// routes is one mux for everything that clients reach. A browser may not be used to write:
// pages of other origins are refused, tools send no Origin.
func (s *serving) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	g := &gate.Gate{Registry: s.reg, Host: s.hosts[0], Access: s.access, DB: s.db, Log: s.config.Log, PublicURL: s.config.PublicURL, Anonymous: s.config.anonymous()}
	mux.Handle("/v2/", g)
	mux.HandleFunc("GET "+gate.TokenPath, g.Token)
	mux.Handle(wire.Prefix+"/", s.api())
	cloud := s.arm()
	for _, pattern := range arm.Patterns() {
		mux.Handle(pattern, cloud)
	}
	s.health(mux)
	mux.Handle("GET /metrics", s.authenticated(g, s.metrics.Handler()))
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("/", notFound(cloud))
	return s.middleware(http.NewCrossOriginProtection().Handler(mux)), nil
}

func (s *serving) api() http.Handler {
	var all []wire.Registry
	for name, r := range s.config.registries(s.hosts) {
		all = append(all, wire.Registry{Name: name, Host: r.Host})
	}
	slices.SortFunc(all, func(a, b wire.Registry) int { return strings.Compare(a.Name, b.Name) })
	return api.New(api.Config{Verb: s.service, Queue: s.queue, Access: s.access, Registries: all, Version: s.config.Version, Patience: s.config.Stall,
		Streams: access.NewPlaces(s.config.PerPrincipal.Streams), Held: s.held})
}

func (s *serving) arm() http.Handler {
	var all []arm.Registry
	for name, r := range s.config.registries(s.hosts) {
		all = append(all, arm.Registry{Name: name, Host: r.Host})
	}
	slices.SortFunc(all, func(a, b arm.Registry) int { return strings.Compare(a.Name, b.Name) })
	return arm.New(arm.Config{Access: s.access, Submit: s.service.Submit, Visible: s.service.Visible, Watch: s.queue.Watch,
		Registries: all, PublicURL: s.config.PublicURL, Held: s.held, V2: s.reg, Host: s.hosts[0]})
}

// notFound is for paths that no pattern has: Azure's clients write theirs in any case.
func notFound(cloud http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		for _, pattern := range arm.Patterns() {
			if strings.EqualFold(first, strings.Trim(strings.Split(pattern, "/")[1], "/")) {
				cloud.ServeHTTP(w, r)
				return
			}
		}
		plain(w, http.StatusNotFound, "404: there is nothing here")
	}
}

// opsRoutes is what a second listener shows, to whoever reaches it.
func (s *serving) opsRoutes() http.Handler {
	mux := http.NewServeMux()
	s.health(mux)
	mux.Handle("GET /metrics", s.metrics.Handler())
	return s.middleware(mux)
}

func (s *serving) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
}

// authenticated lets in who is somebody.
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

// home is the page until there is one.
func (s *serving) home(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "This is dray. The registry is at /v2/, the API at /api/v1/, its description at /api/v1/openapi.json.")
}

// ready says whether this process can do what it is there for, a line for each part.
func (s *serving) ready(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusOK, ""
	for _, f := range s.readiness(r.Context()) {
		text += fmt.Sprintf("%s: %s\n", f.What, f.Text)
		if !f.OK {
			status = http.StatusServiceUnavailable
		}
	}
	plain(w, status, text)
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// runner is what jobs are run with.
func (s *serving) runner() job.Runner {
	return s.traces.Jobs(s.metrics.Jobs(s.service.Run))
}
