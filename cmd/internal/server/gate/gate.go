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
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
)

// Verbs of the registry's own API, for rules and the audit log.
const (
	verbPull   = "pull"
	verbPush   = "push"
	verbDelete = "delete"
)

// Gate stands before the registry: who asks, and whether that may be.
type Gate struct {
	Registry *registry.Registry
	Host     string // what rules and the audit log call it
	Access   *access.Access
	DB       *store.DB // the one of Access, for the audit log
	Log      *slog.Logger

	PublicURL string // what clients call the server; "" is what each request says
	Anonymous bool   // a rule lets in who has no credentials

	// Whether a tag is made or replaced is told before it is put. For those who may only make
	// some, nobody else of them may come in between.
	createMu sync.Mutex
}

func (g *Gate) place(repo string) string { return g.Host + "/" + repo }

func (g *Gate) may(p access.Principal, repo, write string) error {
	return g.Access.Allow(p, access.Ask{Verb: verbPush, Target: g.place(repo), Write: write})
}

// Refuse answers in the words of distribution-spec v1.1.1 §Error Codes: 401 to nobody, 403
// to who is known.
func (g *Gate) Refuse(w http.ResponseWriter, r *http.Request, p access.Principal, err error) {
	switch {
	case !fault.Is(err, fault.Denied):
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "UNKNOWN", "who asks can not be told now")
	case p.Name == "" || p.Name == access.Anonymous:
		g.Challenge(w, r)
	default:
		refuse(w, http.StatusForbidden, "DENIED", causeOf(err))
	}
}

func causeOf(err error) string {
	var f *fault.Fault
	if errors.As(err, &f) && f.Err != nil {
		return f.Err.Error()
	}
	return "denied"
}

// Challenge is Bearer where the address of its tokens is sure to be safe: az knows Azure's
// registries by it, and a tool that has no login could not answer Basic where somebody may pull
// without. Else it is Basic, which every tool speaks. Who sends Basic unasked is taken always.
func (g *Gate) Challenge(w http.ResponseWriter, r *http.Request) {
	challenge, base := access.Challenge, g.base(r)
	if g.Anonymous || strings.HasPrefix(base, "https://") {
		challenge = fmt.Sprintf(`Bearer realm="%s%s",service="dray"`, base, TokenPath)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
}

// base is what clients call this server.
func (g *Gate) base(r *http.Request) string {
	switch {
	case g.PublicURL != "":
		return g.PublicURL
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}
