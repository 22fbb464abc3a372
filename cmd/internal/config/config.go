package config

import (
	"slices"
	"time"

	"github.com/drayage/dray/cmd/internal/config/azure"
	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/plan"
)

// Config is the content of the file. The zero Config means that there is no file.
type Config struct {
	// Path is the file that was read; "" means none.
	Path string
	// Default is the name of the registry for commands that name none; "" means no default.
	Default string
	// Referrers chooses what travels with an image if a request does not say it.
	Referrers plan.Referrers
	// Platforms are copied if a request does not say it.
	Platforms plan.Platforms
	// IncludeForeign copies foreign layers too, see dray.Config.
	IncludeForeign bool
	// Registries lists the named registries, in the order of the file.
	Registries []Registry
	// Gates lists the named gates, in the order of the file.
	Gates []gates.Gate
	// Gate is the name of the gate that every image must pass; "" means none.
	Gate string
	// Client names the server that runs the verbs of the command line as jobs.
	Client Client
	// Server holds the settings of dray serve and dray worker.
	Server Server
}

// Registry is one named registry.
type Registry struct {
	// Name is a short name that users can write instead of the host. It never looks like a host.
	Name string
	// Host is "host" or "host:port" in its normal form.
	Host string
	// Aliases lists other names and hosts that mean this registry. Hosts are in their normal form.
	Aliases []string
	// Kind is the product of the registry; "" lets dray detect it.
	Kind Kind
	// PlainHTTP uses http instead of https. It excludes Insecure and the certificates.
	PlainHTTP bool
	// Insecure turns off the check of the server's certificate. A command that uses it must warn.
	Insecure bool
	// CAFile is a PEM file of certificate authorities that are trusted in addition to those of the
	// system; "" means only those of the system.
	CAFile string
	// ClientCert and ClientKey are the PEM files of a client certificate. Both are set or both are "".
	ClientCert, ClientKey string
	// TokenHosts lists the hosts, in addition to Host, that may issue tokens for this registry.
	TokenHosts []string
	// Mirrors lists the hosts of pull-through mirrors. Reads try them first, in this order.
	Mirrors []string
	// Create says whether a push creates what is missing: an ECR repository or a Harbor project.
	Create Create
	// Limits limits the traffic with Host.
	Limits Limits
	// Credentials says where the login comes from; the zero value means that the file does not say.
	Credentials Credentials
	// Azure says how Azure imports images into the registry, and which identity reads it.
	Azure azure.Registry
}

// Limits limits the traffic with one host. Zero means dray's default; for the two rates, the default is no limit.
type Limits struct {
	Connections       int     // connections at the same time
	RequestsPerSecond float64 // requests of all kinds together
	BytesPerSecond    int64   // bytes in both directions together
	ChunkSize         int64   // bytes in one chunk of a chunked upload
	// FirstByte is how long an answer may take to begin after a request was sent.
	FirstByte time.Duration
}

// Create says whether a push creates a missing repository or project, and who may read it. Zero creates nothing.
type Create string

// CreatePrivate creates a private ECR repository or Harbor project. CreatePublic creates a Harbor project for all.
const (
	CreatePrivate Create = "private"
	CreatePublic  Create = "public"
)

var creates = []string{string(CreatePrivate), string(CreatePublic)}

// Kind is a registry product whose special behavior dray knows.
type Kind string

// The known kinds. Generic is any registry that follows the distribution specification.
const (
	ACR          Kind = "acr"
	DockerHub    Kind = "dockerhub"
	ECR          Kind = "ecr"
	GAR          Kind = "gar"
	GHCR         Kind = "ghcr"
	GitLab       Kind = "gitlab"
	Harbor       Kind = "harbor"
	Quay         Kind = "quay"
	Artifactory  Kind = "artifactory"
	Nexus        Kind = "nexus"
	Zot          Kind = "zot"
	Distribution Kind = "distribution"
	Gitea        Kind = "gitea"
	Generic      Kind = "generic"
)

var kinds = []string{
	string(ACR), string(DockerHub), string(ECR), string(GAR), string(GHCR), string(GitLab), string(Harbor),
	string(Quay), string(Artifactory), string(Nexus), string(Zot), string(Distribution), string(Gitea),
	string(Generic),
}

// ByName returns the registry with this name or alias; false means that there is none.
func (c Config) ByName(name string) (Registry, bool) {
	is := func(r Registry) bool { return r.Name == name || slices.Contains(r.Aliases, name) }
	if i := slices.IndexFunc(c.Registries, is); i >= 0 {
		return c.Registries[i], true
	}
	return Registry{}, false
}

// GateByName returns the gate with this name; false means that there is none.
func (c Config) GateByName(name string) (gates.Gate, bool) {
	if i := slices.IndexFunc(c.Gates, func(g gates.Gate) bool { return g.Name == name }); i >= 0 {
		return c.Gates[i], true
	}
	return gates.Gate{}, false
}

// Lookups returns a lookup for each registry that has credentials. getenv returns an environment
// variable, as os.Getenv does.
func (c Config) Lookups(getenv func(string) string) credential.Chain {
	var chain credential.Chain
	for _, r := range c.Registries {
		if r.Credentials != (Credentials{}) {
			chain = append(chain, r.Credentials.Lookup(r.Host, getenv))
		}
	}
	return chain
}
