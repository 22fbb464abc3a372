package testbed

import (
	"net/http"
	"strings"
	"time"
)

// Kind says to which endpoint of the distribution API a request goes.
type Kind string

// The kinds of endpoints. Other is every path that is not named here.
const (
	Manifest Kind = "manifest"
	Blob     Kind = "blob"
	Upload   Kind = "upload" // POST starts, PATCH and PUT send, GET asks for the progress, DELETE cancels
	Tags     Kind = "tags"
	Catalog  Kind = "catalog"
	Referrer Kind = "referrers"
	Token    Kind = "token" // /token, /oauth2/token, /oauth2/exchange
	Ping     Kind = "ping"  // /v2/
	Own      Kind = "own"   // an API beside the distribution API; see beside.Shelf
	Other    Kind = "other"
)

const tokenPath = "/token"

// Endpoint is the meaning of a path.
type Endpoint struct {
	Kind Kind
	Repo string // "" for Token, Ping, Catalog and Other
	Ref  string // tag, digest or upload session; "" if the endpoint has none
}

// Parse reads a URL path by distribution-spec v1.1.1 §Endpoints.
func Parse(path string) Endpoint {
	switch path {
	case "/v2", "/v2/":
		return Endpoint{Kind: Ping}
	case "/v2/_catalog":
		return Endpoint{Kind: Catalog}
	case tokenPath, "/oauth2/token", "/oauth2/exchange":
		return Endpoint{Kind: Token}
	}
	if own, ok := parseOwn(path); ok {
		return own
	}
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return Endpoint{Kind: Other}
	}
	if repo, ok := strings.CutSuffix(rest, "/tags/list"); ok {
		return Endpoint{Kind: Tags, Repo: repo}
	}
	for _, s := range []struct {
		infix string
		kind  Kind
	}{{"/blobs/uploads/", Upload}, {"/manifests/", Manifest}, {"/blobs/", Blob}, {"/referrers/", Referrer}} {
		if i := strings.LastIndex(rest, s.infix); i > 0 {
			return Endpoint{Kind: s.kind, Repo: rest[:i], Ref: rest[i+len(s.infix):]}
		}
	}
	return Endpoint{Kind: Other}
}

// parseOwn reads the paths of the APIs beside the distribution API. Only ACR's have a Repo here,
// since only they use the registry's tokens.
func parseOwn(path string) (Endpoint, bool) {
	if strings.HasPrefix(path, "/v2/repositories/") && strings.HasSuffix(path, "/tags") {
		return Endpoint{Kind: Own}, true
	}
	for _, prefix := range []string{"/api/v1/repository/", "/api/v2.0/projects/", "/orgs/", "/users/"} {
		if strings.HasPrefix(path, prefix) {
			return Endpoint{Kind: Own}, true
		}
	}
	rest, ok := strings.CutPrefix(path, "/acr/v1/")
	if !ok {
		return Endpoint{}, false
	}
	for _, infix := range []string{"/_tags", "/_manifests"} {
		if i := strings.LastIndex(rest, infix); i > 0 {
			return Endpoint{Kind: Own, Repo: rest[:i], Ref: strings.TrimPrefix(rest[i+len(infix):], "/")}, true
		}
	}
	return Endpoint{Kind: Own}, true
}

// Request is one recorded request and its response.
type Request struct {
	Endpoint
	Method   string
	Path     string // as decoded by net/http
	RawQuery string
	Proto    string      // "HTTP/1.1", "HTTP/2.0"
	Header   http.Header // of the request
	At       time.Time

	Status int         // 0 if no header was sent
	Answer http.Header // of the response; nil if no header was sent
	In     int64       // bytes of the body that the handlers read
	Out    int64       // bytes of the body that the handlers wrote
}

// need is one right that a request requires.
type need struct{ repo, action string }

const catalog = "registry:catalog"

// needs lists the rights that distribution requires for the same request. A mount also requires
// pull for the repository that it mounts from. Unlike in distribution, the right to push is enough
// to cancel an upload.
func needs(req *http.Request) []need {
	e := Parse(req.URL.Path)
	if e.Kind == Catalog {
		return []need{{catalog, "*"}}
	}
	if e.Repo == "" {
		return nil
	}
	var all []need
	switch {
	case e.Kind == Own && req.Method == http.MethodGet:
		all = append(all, need{e.Repo, "metadata_read"})
	case e.Kind == Own && req.Method == http.MethodPatch:
		all = append(all, need{e.Repo, "metadata_write"})
	case req.Method == http.MethodGet || req.Method == http.MethodHead:
		all = append(all, need{e.Repo, "pull"})
	case req.Method == http.MethodDelete && e.Kind != Upload:
		all = append(all, need{e.Repo, "delete"})
	default:
		all = append(all, need{e.Repo, "pull"}, need{e.Repo, "push"})
	}
	if from := req.URL.Query().Get("from"); from != "" && e.Kind == Upload {
		all = append(all, need{from, "pull"})
	}
	return all
}
