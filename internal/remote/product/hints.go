package product

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/shell"
)

// SignInHint is the hint for a user who needs a login, or another login.
func SignInHint(host string) string { return "log in with: " + shell.Dray("login", host) }

// Remedy is the hint if a registry refuses the login l, or requires one and l is anonymous. signIn is the hint for
// a user who needs a login.
func Remedy(host, signIn string, l credential.Login) string {
	switch {
	case l.IsAnonymous():
		return signIn
	case l.From == "" && l.Scheme == credential.Basic:
		return "check the user and the password"
	case l.From == "":
		return "check that the token is for this registry and has not expired"
	}
	switch place(l) {
	case typed:
		return "correct the login in " + l.From
	case stored:
		return signIn
	}
	return "check that this identity may use " + host
}

// GrantHint is the hint if the login l lacks the right that need names. signIn is the hint for a user who needs a
// login.
func GrantHint(host, signIn string, l credential.Login, need string) string {
	if l.IsAnonymous() {
		return signIn
	}
	hint := "give this login " + need
	switch place(l) {
	case typed:
		return hint + ", or use another login in " + l.From
	case stored:
		return hint + ", or log in with another login: " + shell.Dray("login", host)
	}
	return hint
}

// The places that a login comes from.
const (
	typed  = "typed"  // a flag, a variable, the configuration, or the request or a secret of a server
	stored = "stored" // where dray login stores it
)

// place returns typed, stored, or "" for a login that is the identity of a machine in a cloud, or whose place
// is not known.
func place(l credential.Login) string {
	switch word, _, _ := strings.Cut(l.From, " "); word {
	case "flag", "env", "config", "request", "secret":
		return typed
	case "docker", "podman", "REGISTRY_AUTH_FILE", "credential":
		return stored
	}
	return ""
}

// Needed returns the permission that a request with method requires at product, in the product's own words if
// they are known.
func Needed(product, method string) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		return cmp.Or(rights[product].Pull, "the right to pull")
	case http.MethodDelete:
		return "the right to delete"
	}
	return cmp.Or(rights[product].Push, "the right to push")
}

// SpellingHint is the hint if DNS does not know the name of the host.
const SpellingHint = "check the spelling of the host and DNS; private endpoints resolve inside their network only"

// LateHint is the hint if no answer begins in time.
const LateHint = "if this registry fetches content before it answers, as a cache does, " +
	"raise --first-byte-timeout, or first-byte-timeout of this registry"

// BusyHint is the hint if a registry has too much to do.
const BusyHint = "try again later, or ask less at once with --concurrency"

// StatusHint is the hint for an answer whose body names no cause, or "".
func StatusHint(method string, status int) string {
	writes := method != http.MethodGet && method != http.MethodHead
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return "raise the limit for bodies at the registry, or at the proxy in front of it " +
			"(nginx: client_max_body_size), or set chunk-size for this registry"
	case status == http.StatusMethodNotAllowed && writes:
		return "check whether this registry is read-only: a cache, a mirror, or in maintenance"
	case status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
		return "check the registry behind the proxy that answers, and try again later"
	case status >= 500 && status != http.StatusNotImplemented && status != http.StatusHTTPVersionNotSupported:
		return "look for the cause in the log of the registry, and try again later"
	}
	return ""
}

// FirewallHint is the hint if the registry refuses the client's address, whatever the login.
const FirewallHint = "a login does not help, because a network rule blocks this machine's address: " +
	"allow the address in the registry's firewall, use its private endpoint, " +
	"or run a dray server inside that network"

// AddressHint is the hint if a registry writes an address of its own that cannot be used from here.
// Registries behind a proxy write such addresses if they do not learn by which name they were asked.
const AddressHint = "make the proxy in front of the registry send Host and X-Forwarded-Proto, " +
	"or set the registry's public address: external_url of Harbor or GitLab, " +
	"http.host or http.relativeurls of distribution"

// StorageHint is the hint if a registry redirects to a storage that must not be used from here.
const StorageHint = "make the registry send the content itself (distribution: storage.redirect.disable; " +
	"Harbor: disableredirect), or give its storage a public address with TLS"

// Firewalled reports whether an answer refuses the client's address and not its login. ACR, for
// example, answers "client with IP '…' is not allowed access".
func Firewalled(status int, text string) bool {
	words := strings.ToLower(text)
	return status == http.StatusForbidden &&
		(strings.Contains(words, "client with ip") || strings.Contains(words, "firewall") ||
			strings.Contains(words, "public network access") || strings.Contains(words, "ip address is not"))
}

// SaysFull reports whether the words of a refusal say that the registry has no space left for what is pushed, or
// that a quota is used up. Harbor, for example, answers 403 with "… will exceed the configured upper limit of 10.0
// MiB".
func SaysFull(text string) bool {
	words := strings.ToLower(text)
	says := func(part string) bool { return strings.Contains(words, part) }
	if slices.ContainsFunc([]string{"rate limit", "requests per", "per minute", "per second", "too many requests"}, says) {
		return false // a limit of requests, which passes
	}
	return slices.ContainsFunc([]string{
		"quota", "exceed the configured upper limit", // Harbor
		"exceeded its size limit", "storage size", // GitLab
		"storage limit", "storage capacity", // ACR, GHCR
		"limit is", "limitexceeded", // DigitalOcean, ECR
		"disk usage", "not enough free", // Artifactory
		"no space left", "not enough space", "insufficient storage", "insufficient space", "disk is full", "storage is full",
	}, says)
}

// FullHint is the hint for a push to a registry that is full.
func FullHint(product, host string) string {
	if product == "harbor" {
		return "raise the storage quota of the project, or remove images from it and collect the garbage, " +
			"then run the command again"
	}
	return "make room at " + host + " or raise its quota, then run the command again"
}

// Placeless reports whether an answer says that the push has no destination: the repository, or the
// project of Harbor, does not exist.
func Placeless(product, code, text string) bool {
	words := strings.ToLower(text)
	return code == "NAME_UNKNOWN" ||
		product == "harbor" && strings.Contains(words, "project") && strings.Contains(words, "not found")
}

// CreateHint is the hint for a push whose repository or project does not exist.
func CreateHint(product string) string {
	switch product {
	case "ecr":
		return "create the repository first, or set create: private for this registry in the configuration"
	case "harbor":
		return "create the project first, or set create: private for this registry in the configuration"
	}
	return "create the repository first; this registry does not create it on push"
}

// CutHint is the hint for a connection that ends without an answer, or "". ECR ends the connection
// of a push if the repository does not exist.
func CutHint(product, method, path string) string {
	if product == "ecr" && method == http.MethodPost && strings.HasSuffix(path, "/blobs/uploads/") {
		return "ECR ends the connection if the repository does not exist: " + CreateHint(product)
	}
	return ""
}
