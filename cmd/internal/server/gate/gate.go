package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/acr"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
)

// The verbs of the registry's API, for rules and the audit log.
const (
	verbPull   = "pull"
	verbPush   = "push"
	verbDelete = "delete"
)

// Gate is the handler in front of the registry. It authenticates and authorizes every request.
type Gate struct {
	Registry *registry.Registry
	Host     string // the name of the registry in rules and in the audit log
	Access   *access.Access
	DB       *store.DB // the database of Access, for the audit log
	Log      *slog.Logger

	PublicURL string // the URL that clients use; "" means the host of each request
	Anonymous bool   // whether a rule allows requests without credentials

	Memory *memory.Budget // of the manifests that clients send; nil means no limit

	// createMu serializes the puts of principals that may only create tags, or only replace them. The
	// gate checks whether a tag exists before the put, and no other such put may come in between.
	createMu sync.Mutex
}

// place returns the name of a repository in rules and in the audit log.
func (g *Gate) place(repo string) string { return g.Host + "/" + repo }

// may returns an error if p does not have the right write to repo.
func (g *Gate) may(p access.Principal, repo, write string) error {
	return g.Access.Allow(p, access.Ask{Verb: verbPush, Target: g.place(repo), Write: write})
}

// Refuse answers a request that err refuses, with a code of distribution-spec v1.1.1 §Error Codes.
// The status is 401 for a caller without credentials, 403 for a known caller, and 503 if err is not
// Denied.
func (g *Gate) Refuse(w http.ResponseWriter, r *http.Request, p access.Principal, err error) {
	switch {
	case !fault.Is(err, fault.Denied):
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "UNKNOWN", "the caller cannot be authenticated now")
	case p.Name == "" && r.Header.Get("Authorization") != "":
		g.challenge(w, r, causeOf(err))
	case p.Name == "" || p.Name == access.Anonymous:
		g.Challenge(w, r)
	case acr.FallsBack(r):
		g.challenge(w, r, causeOf(err))
	default:
		refuse(w, http.StatusForbidden, "DENIED", causeOf(err))
	}
}

// causeOf returns the cause of a Fault, without its operation and kind, and the next step.
func causeOf(err error) string {
	var f *fault.Fault
	if !errors.As(err, &f) || f.Err == nil {
		return "denied"
	}
	if f.Hint == "" {
		return f.Err.Error()
	}
	return f.Err.Error() + "; " + f.Hint
}

// Challenge answers 401 with a challenge. The challenge is Bearer if the URL of the token service is
// https or if anonymous pulls are allowed: az recognizes Azure's registries by Bearer, and a tool
// without a login could not answer Basic. Otherwise the challenge is Basic, which every tool knows.
// Basic credentials are accepted in both cases.
func (g *Gate) Challenge(w http.ResponseWriter, r *http.Request) {
	g.challenge(w, r, "authentication required")
}

func (g *Gate) challenge(w http.ResponseWriter, r *http.Request, cause string) {
	challenge, base := access.Challenge, access.Base(g.PublicURL, r)
	if g.Anonymous || strings.HasPrefix(base, "https://") {
		challenge = fmt.Sprintf(`Bearer realm="%s%s",service="dray"`, base, TokenPath)
		if scope := acr.Scope(r); scope != "" { // Azure's SDKs cannot ask for a token without it
			challenge += fmt.Sprintf(`,scope="%s"`, scope)
		}
	}
	w.Header().Set("WWW-Authenticate", challenge)
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", cause)
}

// refuse answers with one error in the form of distribution-spec v1.1.1 §Error Codes.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.WriteHeader(status)
	body := map[string]any{"errors": []map[string]string{{"code": code, "message": message}}}
	_ = json.NewEncoder(w).Encode(body) // an error means that the client has gone
}
