package arm

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
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

type handler struct {
	Config
	all    []registry
	byName map[string]registry // by all names, in lower case
}

// registry is a Registry with the name that az can say.
type registry struct {
	Registry
	azName string
}

// add makes r known. az takes names of 5 to 50 letters and digits only, and refuses others before
// it asks anybody: such a registry is shown under a name that is made of its own.
func (h *handler) add(r Registry) {
	azName := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, r.Name)
	if len(azName) < 5 {
		azName += "registry"
	}
	if _, taken := h.byName[strings.ToLower(azName)]; taken || len(azName) > 50 {
		azName = r.Name
	}
	known := registry{r, azName}
	h.all = append(h.all, known)
	h.byName[strings.ToLower(azName)] = known
	h.byName[strings.ToLower(r.Name)] = known
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
