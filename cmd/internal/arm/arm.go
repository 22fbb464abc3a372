// Package arm speaks the dialect of the Azure Resource Manager, as far as the import of images
// goes: what `az acr import`, `az acr login --expose-token`, `az acr repository list|show-tags`
// and Azure's SDKs say to a cloud, they can say to dray, about any registry.
//
// An import is a job like every other; its operation's id is the job's, so that a client goes on
// polling across a restart. Registries are the configured ones. Paths are taken in any case and
// with any api-version, because clients differ in both. docs/from-az.md is the description for
// people.
package arm

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// Registry is a registry that clients can name.
type Registry struct {
	Name string // as it is configured
	Host string // its login server
}

// Config is what New needs: all of it but the last five.
type Config struct {
	Access *access.Access
	// Submit, Visible and Watch are those of verb.Service and job.Queue.
	Submit  func(ctx context.Context, p access.Principal, r wire.Request, key string) (job.Job, bool, error)
	Visible func(ctx context.Context, p access.Principal, id string) (job.Job, error)
	Watch   func(ctx context.Context, id string, after int64) iter.Seq2[job.Event, error]

	Registries []Registry
	PublicURL  string         // what clients call the server, "https://HOST[:PORT]"; "" is what each request says
	Hold       time.Duration  // how long an answer waits for a job's end; 0 is 3 s, negative none
	Held       *access.Places // answers that wait for one principal at a time, others are 202 at once; nil is any number
	// V2 is the embedded registry behind /v2/, without authentication, and Host what rules call
	// it: `az acr repository` lists what is there. nil is none.
	V2   http.Handler
	Host string
}

const (
	defaultHold = 3 * time.Second
	maxBody     = 1 << 20

	// One tenant, one subscription and one resource group, for lists; any others are taken as well.
	tenantID       = "64726179-0000-4000-8000-000000000001"
	subscriptionID = "64726179-0000-4000-8000-000000000002"
	groupName      = "dray"
	location       = "dray"
	namespace      = "Microsoft.ContainerRegistry"
	registryType   = namespace + "/registries"
)

// Patterns are what a mux sends to the handler of New.
func Patterns() []string {
	return []string{"/subscriptions", "/subscriptions/", "/tenants", "/providers/", "/metadata/", "/adfs/", "/" + tenantID + "/", "/dray/", "/oauth2/", "/acr/v1/"}
}

// New returns the handler. It authenticates by itself: clients of this dialect want its own refusals.
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

type handler struct {
	Config
	all    []registry
	byName map[string]registry // by all names, in lower case
}

// registry is a Registry with the name that az can say.
type registry struct {
	Registry
	shown string
}

// add makes r known. az takes names of 5 to 50 letters and digits only, and refuses others before
// it asks anybody: such a registry is shown under a name that is made of its own.
func (h *handler) add(r Registry) {
	shown := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, r.Name)
	if len(shown) < 5 {
		shown += "registry"
	}
	if _, taken := h.byName[strings.ToLower(shown)]; taken || len(shown) > 50 {
		shown = r.Name
	}
	known := registry{r, shown}
	h.all = append(h.all, known)
	h.byName[strings.ToLower(shown)] = known
	h.byName[strings.ToLower(r.Name)] = known
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if id := r.Header.Get("X-Ms-Client-Request-Id"); id != "" && len(id) <= 64 {
		w.Header().Set("X-Ms-Client-Request-Id", id)
	}
	path := segments(r.URL.Path)
	switch first := strings.ToLower(path[0]); {
	case first == "acr":
		h.content(w, r)
	case first == "oauth2":
		h.registryTokens(w, r, path)
	case first == "metadata":
		h.metadata(w, r, path)
	case first == "adfs" || first == tenantID || first == "dray":
		h.authority(w, r, path)
	default:
		h.manager(w, r, path)
	}
}

func segments(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

// manager is the resource manager itself: all of it wants a login and an api-version.
func (h *handler) manager(w http.ResponseWriter, r *http.Request, path []string) {
	p, err := h.Access.Authenticate(r)
	if err != nil || p.Via == access.ViaNothing {
		h.unauthorized(w, r, err)
		return
	}
	if r.URL.Query().Get("api-version") == "" {
		tell(w, http.StatusBadRequest, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
		return
	}
	if at, ok := scopeOf(path); ok {
		h.within(w, r, p, at)
		return
	}
	if r.Method == http.MethodGet && is(path, "tenants") {
		answer(w, http.StatusOK, list(map[string]any{"id": "/tenants/" + tenantID, "tenantId": tenantID, "displayName": "dray"}))
		return
	}
	notThere(w, r)
}

// scope is where in the tree of resources a request is.
type scope struct {
	subscription, group string
	rest                []string // what follows
}

// id is the path of the registry within the request's own subscription and group.
func (s scope) id(name string) string {
	group := s.group
	if group == "" {
		group = groupName
	}
	return "/subscriptions/" + s.subscription + "/resourceGroups/" + group + "/providers/" + registryType + "/" + name
}

func scopeOf(path []string) (scope, bool) {
	if !strings.EqualFold(path[0], "subscriptions") {
		return scope{}, false
	}
	s := scope{subscription: subscriptionID}
	if len(path) > 1 {
		s.subscription, s.rest = path[1], path[2:]
	}
	if len(path) == 1 {
		s.rest = []string{"*"} // the list of subscriptions
	}
	if len(s.rest) > 1 && strings.EqualFold(s.rest[0], "resourceGroups") {
		s.group, s.rest = s.rest[1], s.rest[2:]
	}
	return s, true
}

// is reports whether path has these segments, in any case; "*" is any one.
func is(path []string, want ...string) bool {
	if len(path) != len(want) {
		return false
	}
	for i := range path {
		if want[i] != "*" && !strings.EqualFold(path[i], want[i]) {
			return false
		}
	}
	return true
}

// base is what the client calls this server.
func (h *handler) base(r *http.Request) string {
	if h.PublicURL != "" {
		return h.PublicURL
	}
	scheme := "http"
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: r.Host}).String()
}

func answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":{"code":"InternalServerError","message":"the answer does not marshal"}}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // to a client that may have gone
}

func list(items ...any) map[string]any {
	if items == nil {
		items = []any{}
	}
	return map[string]any{"value": items}
}

// tell answers with an error as the resource manager writes them; x-ms-error-code is what SDKs look at first.
func tell(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Ms-Error-Code", code)
	answer(w, status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

func notThere(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		tell(w, http.StatusNotFound, "InvalidResourceOperation", "dray imports images; it does not know this operation.")
		return
	}
	tell(w, http.StatusNotFound, "InvalidResourceType", "dray knows container registries and the import of images; it does not know this resource.")
}

func (h *handler) unauthorized(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil && !fault.Is(err, fault.Denied) {
		refuse(w, err)
		return
	}
	message := "Log in with a token of dray."
	if err != nil {
		message = said(err)
	}
	w.Header().Set("WWW-Authenticate", `Bearer authorization_uri="`+h.base(r)+`/adfs"`)
	tell(w, http.StatusUnauthorized, "AuthenticationFailed", message)
}

// refuse answers a request that failed as such; jobs that fail are told by failed.
func refuse(w http.ResponseWriter, err error) {
	switch kind := fault.KindOf(err); kind {
	case fault.Denied:
		tell(w, http.StatusForbidden, "AuthorizationFailed", said(err))
	case fault.Conflict:
		tell(w, http.StatusConflict, "Conflict", said(err))
	case fault.NotFound:
		tell(w, http.StatusNotFound, "NotFound", said(err))
	case fault.Throttled, fault.Full:
		w.Header().Set("Retry-After", "5")
		tell(w, http.StatusTooManyRequests, "TooManyRequests", said(err))
	case fault.Unavailable, fault.Canceled:
		w.Header().Set("Retry-After", "5")
		tell(w, http.StatusServiceUnavailable, "ServerTimeout", said(err))
	case fault.Internal:
		tell(w, http.StatusInternalServerError, "InternalServerError", said(err))
	default:
		tell(w, http.StatusBadRequest, "InvalidParameters", said(err))
	}
}

func said(err error) string {
	text := err.Error()
	if hint := fault.HintOf(err); hint != "" {
		text += " (hint: " + hint + ")"
	}
	return text
}

// read decodes the body into v. The error is Invalid.
func read(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	if err := d.Decode(v); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return invalid("the value of " + wrong.Field + " has the wrong type")
		}
		return invalid("the body is not the JSON that was expected") // which may hold a password: it is not quoted
	}
	return nil
}

func invalid(cause string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read request", Err: errors.New(cause)}
}
