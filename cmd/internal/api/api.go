// Package api is dray's REST interface, /api/v1: the handlers, and a client that the command
// line uses. Both speak of the same Go types, so that they can not drift apart; docs/openapi.json
// is made of them.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

const (
	maxBody  = 1 << 20          // of a request
	bodyTime = 30 * time.Second // to read one; an upload has longer
	fileTime = 10 * time.Minute
)

// Config is what New needs: Verb, Queue and Access are required.
type Config struct {
	Verb       *verb.Service
	Queue      *job.Queue
	Access     *access.Access
	Registries []wire.Registry // that are configured
	Version    string          // of dray, for /whoami

	// Authenticate finds who asks; nil is Access.Authenticate.
	Authenticate func(*http.Request) (access.Principal, error)

	Streams *access.Places // of events that one may watch at a time; nil is any number
	Held    *access.Places // answers that are held for one at a time; nil is any number

	Heartbeat time.Duration // between comments in a silent stream of events; 0 is 15 s
	Patience  time.Duration // for a client that does not read what is streamed; 0 is 30 s
}

type api struct {
	Config
	huma huma.API
}

// New returns the handler of everything below Prefix.
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
		problemOf(&fault.Fault{Kind: fault.NotFound, Op: "find", Name: r.Method + " " + wire.OneLine(r.URL.Path), Hint: wire.Prefix + "/openapi.json lists what there is"}).write(w)
	})
	return guarded(mux)
}

// Document is the OpenAPI document, as it is served and checked in.
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

// guarded keeps pages of other origins from writing in the name of a person at a browser, and
// answers from caches.
func guarded(h http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	}))
}

func (a *api) mount(mux *http.ServeMux) {
	config := huma.DefaultConfig("dray", "1")
	config.Info.Description = "Images from registry to registry, as jobs of a server. docs/api.md shows each request by curl."
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "an API token"},
		"basic": {Type: "http", Scheme: "basic", Description: "any user and an API token, or a user of the server"},
	}
	config.Servers = []*huma.Server{{URL: wire.Prefix}}
	config.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	config.OpenAPIPath, config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{ours}
	a.huma = humago.NewWithPrefix(mux, wire.Prefix, config)
	a.huma.UseMiddleware(a.admit)
	a.verbs()
	a.jobs()
	a.streams()
	a.schedules()
	a.admin()
	for _, theirs := range []string{"ErrorModel", "ErrorDetail"} { // every error is a Problem
		delete(a.huma.OpenAPI().Components.Schemas.Map(), theirs)
	}
}

// callerKey is under which a request's call is kept: the middleware and the handlers of huma
// have nothing else in common.
type callerKey struct{}

// calling is who asks, and the connection that they ask over.
type calling struct {
	principal access.Principal
	conn      *http.ResponseController
}

func caller(ctx context.Context) access.Principal {
	c, _ := ctx.Value(callerKey{}).(calling)
	return c.principal
}

// unhurried takes back the deadline to which the body was read: an answer that is held would
// be cut by it.
func unhurried(ctx context.Context) {
	if c, ok := ctx.Value(callerKey{}).(calling); ok {
		_ = c.conn.SetReadDeadline(time.Time{}) // a writer without deadlines has none to take back
	}
}

// admit lets a request in whose principal has the role that the operation asks for. One that
// asks for none lets nobody in.
func (a *api) admit(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	p, err := a.Authenticate(r)
	if err != nil {
		problemOf(err).unknown().write(w)
		return
	}
	least, _ := ctx.Operation().Metadata["role"].(access.Role)
	if !p.Role.Covers(least) {
		problemOf(&fault.Fault{Kind: fault.Denied, Op: "allow " + p.Name, Name: ctx.Operation().OperationID, Err: errors.New("it takes the role " + string(least)), Hint: "use a token of that role"}).write(w)
		return
	}
	next(huma.WithValue(ctx, callerKey{}, calling{p, http.NewResponseController(w)}))
}

// operation is what differs between operations.
type operation struct {
	id, method, path string
	role             access.Role // the least
	status           int
	text             string
	tag              string
	body             int64         // bytes of a request; 0 is maxBody
	time             time.Duration // to read it; 0 is bodyTime
}

// handle registers one. Its errors become Problems.
func handle[I, O any](a *api, o operation, do func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.text, Tags: []string{o.tag}, DefaultStatus: o.status,
		Metadata:     map[string]any{"role": o.role},
		Extensions:   map[string]any{"x-dray-role": string(o.role)},
		Security:     []map[string][]string{{"token": {}}, {"basic": {}}},
		MaxBodyBytes: o.body, BodyReadTimeout: o.time,
	}
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxBody
	}
	if op.BodyReadTimeout == 0 {
		op.BodyReadTimeout = bodyTime
	}
	problem := a.huma.OpenAPI().Components.Schemas.Schema(problemType, true, "Problem")
	op.Responses = map[string]*huma.Response{"default": {Description: "Error", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problem}}}}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		unhurried(ctx)
		out, err := do(ctx, in)
		if err != nil {
			return nil, problemOf(err)
		}
		return out, nil
	})
}
