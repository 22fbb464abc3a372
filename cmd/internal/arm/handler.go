package arm

import (
	"context"
	"iter"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/wire"
)

// Registry is a registry that clients can name.
type Registry struct {
	Name    string   // the name in the configuration
	Host    string   // the login server
	Aliases []string // other names in the configuration
}

// Config holds what New needs. The fields from PublicURL on are optional.
type Config struct {
	Access *access.Access
	// Submit, Visible and Watch are those of verb.Service and job.Queue.
	Submit  func(ctx context.Context, p access.Principal, r wire.Request, key string) (job.Job, bool, error)
	Visible func(ctx context.Context, p access.Principal, id string) (job.Job, error)
	Watch   func(ctx context.Context, id string, after int64) iter.Seq2[job.Event, error]

	Registries []Registry
	// Suffix is the domain below which each registry has a name of this server: NAME.Suffix. "" means that the login
	// server of a registry is its own host.
	Suffix    string
	PublicURL string // the URL that clients use, "https://HOST[:PORT]"; "" means the host of each request
	// Hold is how long an answer waits for the end of a job. 0 means 3 s, a negative value means that
	// it does not wait.
	Hold time.Duration
	// Held limits the answers that wait for one principal. More are answered 202 at once. nil means no
	// limit.
	Held *access.Places
	// Host is the name of the embedded registry in rules.
	Host string
	// Room returns how much of the storage of the embedded registry is used, and its size, in bytes. ok is false if
	// that is not known. nil means the same.
	Room func() (used, limit int64, ok bool)
	// Memory is the budget of the bodies that clients send; nil means no limit.
	Memory *memory.Budget
}

const (
	defaultHold = 3 * time.Second
	maxBody     = 1 << 20  // bytes of a request
	maxForm     = 64 << 10 // bytes of a form with a login
	bodyTime    = 30 * time.Second

	// The tenant, the subscription and the resource group that lists contain. A request may name any
	// others.
	tenantID       = "64726179-0000-4000-8000-000000000001"
	subscriptionID = "64726179-0000-4000-8000-000000000002"
	groupName      = "dray"
	location       = "dray"
	namespace      = "Microsoft.ContainerRegistry"
	registryType   = namespace + "/registries"
)

// handler serves the API. Its registries do not change after New.
type handler struct {
	Config
	all    []registry
	byName map[string]registry // by Name, Aliases and azName, in lower case
}

// registry is a Registry with a name that az accepts.
type registry struct {
	Registry
	azName string
}

// add adds r to the registries. az accepts only names of 5 to 50 letters and digits, and refuses others
// before it sends a request. So add also gives each registry an azName made from its name: "hub"
// becomes "hubregistry". If that is taken or too long, azName is the name itself.
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
	for _, name := range append([]string{r.Name}, r.Aliases...) {
		h.byName[strings.ToLower(name)] = known
	}
}

// label matches what may be a part of the name of a host.
var label = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
})

// NameOf returns the name before suffix in host. below is false if host is not below suffix.
func NameOf(host, suffix string) (name string, below bool) {
	host = strings.ToLower(host)
	if !strings.Contains(suffix, ":") {
		host, _, _ = strings.Cut(host, ":")
		host = strings.TrimSuffix(host, ".") // RFC 1034 §3.1: the dot of the root
	}
	return strings.CutSuffix(host, "."+strings.ToLower(suffix))
}

// server returns the login server of a registry.
func (h *handler) server(known registry) string {
	name := strings.ToLower(known.azName)
	if h.Suffix == "" || known.Host == h.Host || !label().MatchString(name) {
		return known.Host
	}
	return name + "." + h.Suffix
}

// ours reports whether the login server of a registry is this server.
func (h *handler) ours(known registry) bool {
	return known.Host == h.Host || h.server(known) != known.Host
}

// hostOf returns the host of the registry that has a name of this server, or name itself.
func (h *handler) hostOf(name string) string {
	if label, below := NameOf(name, h.Suffix); below && h.Suffix != "" {
		if known, ok := h.byName[label]; ok {
			return known.Host
		}
	}
	return name
}

// base returns the URL of this server for the client.
func (h *handler) base(r *http.Request) string { return access.Base(h.PublicURL, r) }

// take reads up to limit bytes of the body of r within the budget of memory, for the client who. The caller must call
// done when it has handled r.
func (h *handler) take(w http.ResponseWriter, r *http.Request, who string, limit int64) (done func(), err error) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // an error means that w has no deadlines
	return h.Memory.Body(r, who, limit, memory.Decoded)
}
