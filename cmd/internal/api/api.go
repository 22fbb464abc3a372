package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/visible"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// New returns the handler of every path below wire.Prefix.
func New(c Config) http.Handler {
	if c.Authenticate == nil {
		c.Authenticate = c.Access.Authenticate
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.Patience == 0 {
		c.Patience = 30 * time.Second
	}
	if c.Memory == nil {
		c.Memory = memory.New(memory.Options{})
	}
	mux := http.NewServeMux()
	a := &api{Config: c}
	a.mount(mux)
	document, err := document(a.huma)
	mux.HandleFunc("GET "+wire.Prefix+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			problemOf(err).write(w)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(document)
	})
	mux.HandleFunc(wire.Prefix+"/", func(w http.ResponseWriter, r *http.Request) {
		p := problemOf(&fault.Fault{
			Kind: fault.Invalid, // nothing was looked for: the request is none of this version
			Op:   "find",
			Name: r.Method + " " + wire.OneLine(r.URL.Path),
			Err:  errors.New("this server has no such path"),
			Hint: "see " + wire.Prefix + "/openapi.json for the list of paths",
		})
		p.Status, p.Title = http.StatusNotFound, http.StatusText(http.StatusNotFound)
		if allow := allowed(mux, r); len(allow) > 0 {
			p.Status, p.Title = http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed)
			p.Detail = "find " + r.Method + " " + wire.OneLine(r.URL.Path) +
				": invalid: this path takes " + strings.Join(allow, ", ")
			p.set("Allow", strings.Join(allow, ", "))
		}
		p.write(w)
	})
	return guarded(mux)
}

// allowed returns the methods with which mux serves the path of r.
func allowed(mux *http.ServeMux, r *http.Request) (methods []string) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := mux.Handler(other); strings.HasPrefix(pattern, method+" ") {
			methods = append(methods, method)
		}
	}
	return methods
}

// Document returns the OpenAPI document. It is served at openapi.json and checked in as
// docs/openapi.json.
func Document() ([]byte, error) {
	a := &api{}
	a.mount(http.NewServeMux())
	return document(a.huma)
}

func document(h huma.API) ([]byte, error) {
	raw, err := json.MarshalIndent(h.OpenAPI(), "", "  ")
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "describe the interface", Err: err}
	}
	return append(raw, '\n'), nil
}

// guarded returns h with two protections. It refuses cross-origin requests that write, because a
// page of another site could send them with a user's credentials. It forbids caches to store answers.
func guarded(h http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	}))
}

func (a *api) mount(mux *http.ServeMux) {
	config := huma.DefaultConfig("dray", "1")
	config.Info.Description = "Copies container images between registries, as jobs of a server. " +
		"docs/api.md shows each request with curl. A path that the API does not have is answered with 404 and the " +
		"kind invalid, and an unknown field or parameter with 422 and its name. Every answer has the header " +
		wire.VersionHeader + "."
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "an API token"},
		"basic": {Type: "http", Scheme: "basic", Description: "any user name with an API token as the password, " +
			"or a user of the server with its password"},
	}
	config.Components.Headers = map[string]*huma.Param{wire.VersionHeader: {
		Description: "the version of the server",
		Schema:      &huma.Schema{Type: huma.TypeString},
	}}
	config.Servers = []*huma.Server{{URL: wire.Prefix}}
	format := huma.DefaultJSONFormat
	format.Marshal = func(w io.Writer, v any) error {
		return huma.DefaultJSONFormat.Marshal(visible.NewWriter(w), v) // terminals show what curl prints
	}
	config.Formats = map[string]huma.Format{"application/json": format, "json": format}
	config.OpenAPIPath, config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{a.errorAsProblem}
	a.huma = humago.NewWithPrefix(mux, wire.Prefix, config)
	a.huma.UseMiddleware(a.admit)
	a.verbs()
	a.jobs()
	a.streams()
	a.schedules()
	a.admin()
	// Remove huma's own error types: every answer that is an error is a Problem instead.
	for _, name := range []string{"ErrorModel", "ErrorDetail"} {
		delete(a.huma.OpenAPI().Components.Schemas.Map(), name)
	}
}
