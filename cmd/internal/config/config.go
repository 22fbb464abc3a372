package config

import (
	"slices"

	"github.com/drayage/dray/credential"
)

// Config is the content of the file. The zero Config is that of a file that is not there.
type Config struct {
	// Path is the file that was read; "" when there was none.
	Path string
	// Default is the name of the registry that is meant where a command names none; "" for none.
	Default string
	// Registries are the named registries, in the order of the file.
	Registries []Registry
	// Client is for verbs that a server carries out.
	Client Client
	// Server is for dray serve and dray worker.
	Server Server
}

// Registry is one named registry.
type Registry struct {
	// Name is what people write instead of the host. It can not be taken for a host.
	Name string
	// Host is "host" or "host:port" in canonical form.
	Host string
	// Kind is the product behind the host; "" lets the client find out.
	Kind Kind
	// PlainHTTP asks for http instead of https. It excludes Insecure and the certificates.
	PlainHTTP bool
	// Insecure leaves the server's certificate unchecked. Say so where it is used.
	Insecure bool
	// CAFile holds further certificates, in PEM, that may sign the server's; "" for the system's alone.
	CAFile string
	// ClientCert and ClientKey are PEM files to identify with; both or neither are "".
	ClientCert, ClientKey string
	// TokenHosts may serve this registry's tokens beside its own host.
	TokenHosts []string
	// Mirrors are the hosts of pull-through mirrors, tried first for reading, in order.
	Mirrors []string
	// Create is what is made where a push meets nothing: an ECR repository, a Harbor project.
	Create Create
	// Limits hold for this host.
	Limits Limits
	// Credentials says where the login is; the zero value says nothing.
	Credentials Credentials
}

// Limits bound the traffic with one host. Zero in any of them is dray's default, which for the
// two rates is no limit.
type Limits struct {
	Connections       int     // at the same time
	RequestsPerSecond float64 // of all kinds together
	BytesPerSecond    int64   // both directions together
	ChunkSize         int64   // bytes in one piece of an upload in pieces
}

// Create says whether missing places are made, and for whom. The zero value makes none.
type Create string

// What is made is private, or a Harbor project that everybody may read.
const (
	CreatePrivate Create = "private"
	CreatePublic  Create = "public"
)

var creates = []string{string(CreatePrivate), string(CreatePublic)}

// Kind is a registry product that dray knows the manners of.
type Kind string

// The known kinds. Generic is a registry that does what the distribution specification says.
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

var kinds = []string{string(ACR), string(DockerHub), string(ECR), string(GAR), string(GHCR), string(GitLab), string(Harbor),
	string(Quay), string(Artifactory), string(Nexus), string(Zot), string(Distribution), string(Gitea), string(Generic)}

// ByName finds the registry that people call name.
func (c Config) ByName(name string) (Registry, bool) {
	if i := slices.IndexFunc(c.Registries, func(r Registry) bool { return r.Name == name }); i >= 0 {
		return c.Registries[i], true
	}
	return Registry{}, false
}

// Lookups are those of all registries that name credentials; getenv is as os.Getenv.
func (c Config) Lookups(getenv func(string) string) credential.Chain {
	var chain credential.Chain
	for _, r := range c.Registries {
		if r.Credentials != (Credentials{}) {
			chain = append(chain, r.Credentials.Lookup(r.Host, getenv))
		}
	}
	return chain
}
