package credential

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
)

// Settings says how to talk to one registry. The zero Settings means HTTPS, the certificates of the system,
// no mirrors, and the product that the host name suggests.
type Settings struct {
	// Kind is the product of the registry: "acr", "ecr", "gar", "ghcr", "zot" and others. "" means that
	// the host name decides.
	Kind string

	// PlainHTTP uses HTTP instead of HTTPS.
	PlainHTTP bool

	// Insecure uses TLS without checking the certificate. It applies to this host only, and not to the
	// storage that the registry redirects to.
	Insecure bool

	// CAFile is a PEM file of certificates to trust in addition to those of the system. It also counts for the
	// TokenHosts and for the storage that the registry redirects to.
	CAFile string

	ClientCert, ClientKey string // PEM files; either both or none

	// TokenHosts are other hosts that may receive the login of this registry, because they issue its
	// tokens.
	TokenHosts []string

	// Mirrors are hosts that are tried before this one when something is read. One that does not answer
	// is left out for 10 minutes.
	Mirrors []string

	// Create says what a push may create: an ECR repository or a Harbor project. "" means nothing.
	Create Create

	// Connections is the maximum number of blob bodies that are transferred at the same time in one
	// direction; 0 means the limit for all registries.
	Connections int

	// RequestsPerSecond is the maximum rate of requests; 0 means no limit.
	RequestsPerSecond float64

	// BytesPerSecond is the maximum rate of blob bodies, for both directions together; 0 means no limit.
	BytesPerSecond int64

	// ChunkSize is the size in bytes of the pieces in which a blob is uploaded; 0 means that a blob is
	// uploaded whole, unless the registry needs pieces.
	ChunkSize int64

	// FirstByte is how long the registry may take until its answer begins, after a request was sent; 0
	// means the limit for all registries. A cache that fetches content before it answers needs longer.
	FirstByte time.Duration

	// Via says who brings images to this registry if a request does not say it. "" means ViaDray.
	Via Via

	// ResourceID is the ID that the registry has in Azure: /subscriptions/…/registries/NAME. "" means that dray asks
	// Azure for it, among the registries that its identity may see.
	ResourceID string

	// ResourceManager is the URL of the resource manager that imports images into this registry. "" means that of
	// the Azure cloud to which the host belongs by its name, and none for other names.
	ResourceManager string
}

// Via says who brings the blobs of an image to a target:
//
//   - [ViaDray]: dray itself.
//   - [ViaAzure]: Azure, by its own import.
//   - [ViaAuto]: Azure if it can, else dray.
//
// The tags are set by dray in each case, after it has asked the target for all content.
type Via string

const (
	// ViaDray reads the blobs from the source and sends them to the target. This is the default.
	ViaDray Via = "dray"

	// ViaAzure lets Azure's service import the blobs. An image that it does not import fails.
	ViaAzure Via = "azure"

	// ViaAuto lets Azure's service import the blobs. dray copies an image that it does not import.
	ViaAuto Via = "auto"
)

// Known reports whether v is one of the three values.
func (v Via) Known() bool { return v == ViaDray || v == ViaAzure || v == ViaAuto }

// Create says what a push may create if its target does not exist: the repository at Amazon ECR, the
// project at Harbor. Other products create repositories themselves, or cannot create them.
//
//   - [CreateNothing]: nothing, which is the default.
//   - [CreatePrivate]: a private repository or project.
//   - [CreatePublic]: a public project.
type Create string

const (
	// CreateNothing creates nothing: a push to a repository that does not exist fails.
	CreateNothing Create = ""

	// CreatePrivate creates a private repository at ECR, or a private project at Harbor.
	CreatePrivate Create = "private"

	// CreatePublic creates a Harbor project that everyone may read. At ECR it means CreatePrivate.
	CreatePublic Create = "public"
)

// Class is a kind of requests that a registry counts separately:
//
//   - [Reads], [Writes] and [Manifests]: some of the requests.
//   - [All]: all requests.
type Class string

const (
	// Reads are GET and HEAD requests.
	Reads Class = "reads"

	// Writes are POST, PUT, PATCH and DELETE requests.
	Writes Class = "writes"

	// Manifests are PUT requests of manifests.
	Manifests Class = "manifests"

	// All is every request, for a registry that does not distinguish them.
	All Class = "requests"
)

// Allowance is a limit that a registry is known to have now: N requests of Class in the period Per, for one
// login.
type Allowance struct {
	Class Class
	Per   time.Duration
	N     float64
}

// String returns the limit in words: "300 reads a minute".
func (a Allowance) String() string {
	if a.Per == time.Minute {
		return fmt.Sprintf("%v %s a minute", a.N, a.Class)
	}
	return fmt.Sprintf("%v %s a second", a.N, a.Class)
}

// CheckProxies returns an error if a variable that names a proxy (HTTPS_PROXY, HTTP_PROXY, or one of these
// in lower case) has a value that package net/http ignores without a word: requests would then go around
// the proxy. env reads a variable, as os.Getenv does. The error is [fault.Invalid] and does not repeat
// the value, which may hold a password.
func CheckProxies(env func(string) string) error {
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY"} {
		for _, name := range []string{name, strings.ToLower(name)} {
			value := env(name)
			if value == "" {
				continue
			}
			if err := checkProxy(value); err != nil {
				return &fault.Fault{
					Kind: fault.Invalid,
					Op:   "read variable",
					Name: name,
					Hint: "write http://HOST:PORT, or unset it",
					Err:  err,
				}
			}
			break // net/http does not read the one in lower case either
		}
	}
	return nil
}

// checkProxy reports what is wrong with the address of a proxy. It reads it as net/http does: an address
// without a scheme is one of HTTP.
func checkProxy(value string) error {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" {
		return errors.New("not the address of a proxy")
	}
	if !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return fmt.Errorf("a proxy cannot have the scheme %s", u.Scheme)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("not the address of a proxy: its port is not a number from 1 to 65535")
		}
	}
	return nil
}
