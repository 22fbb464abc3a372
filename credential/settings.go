package credential

import (
	"fmt"
	"time"
)

// Settings are how one registry is spoken to. The zero Settings are https, the
// system's certificates, no mirrors, and what its host name tells of its kind.
type Settings struct {
	Kind      string // what runs there: "acr", "ecr", "gar", "ghcr", "zot", …; "" is told from the name
	PlainHTTP bool   // http instead of https
	Insecure  bool   // TLS without checking the certificate; of this host only, not of its storage

	CAFile                string // PEM; trusted beside the system's roots
	ClientCert, ClientKey string // PEM; both or neither

	TokenHosts []string // hosts beside this one that may be sent its login to give out tokens
	Mirrors    []string // hosts that are tried first when reading
	Create     Create   // what a push may make: an ECR repository, a Harbor project; "" is nothing

	Connections       int     // blob bodies per direction at once, at most; 0 is what holds for all registries
	RequestsPerSecond float64 // 0 is no cap
	BytesPerSecond    int64   // of blob bodies, both directions together; 0 is no cap
	ChunkSize         int64   // bytes; upload in pieces of this size rather than whole; 0 is as the registry needs it
}

// Create says what a push may make where it meets nothing to push into: the
// repository of ECR, the project of Harbor. Other products make repositories by
// themselves, or not at all.
type Create string

const (
	CreateNothing Create = ""
	CreatePrivate Create = "private"
	CreatePublic  Create = "public" // a Harbor project that everybody may read; at ECR the same as private
)

// Class is a kind of request that a registry counts apart.
type Class string

const (
	Reads     Class = "reads"     // GET and HEAD
	Writes    Class = "writes"    // POST, PUT, PATCH and DELETE
	Manifests Class = "manifests" // PUT of a manifest
	All       Class = "requests"  // everything, where there is no difference
)

// Allowance is what a registry is known to allow now: N requests of Class in Per, for one login.
type Allowance struct {
	Class Class
	Per   time.Duration
	N     float64
}

func (a Allowance) String() string {
	if a.Per == time.Minute {
		return fmt.Sprintf("%v %s a minute", a.N, a.Class)
	}
	return fmt.Sprintf("%v %s a second", a.N, a.Class)
}
