package product

import (
	"net/http"
	"strings"
)

// SignInHint is the hint for a user who needs a login, or another login.
func SignInHint(host string) string { return "log in with: dray login " + host }

// Needed returns the permission that a request with method requires at product. "" means unknown.
func Needed(product, method string) string {
	if method == http.MethodGet || method == http.MethodHead {
		return rights[product].Pull
	}
	return rights[product].Push
}

// SpellingHint is the hint if DNS does not know the name of the host.
const SpellingHint = "check the spelling of the host and DNS; private endpoints resolve inside their network only"

// FirewallHint is the hint if the registry refuses the client's address, whatever the login.
const FirewallHint = "a login does not help, because a network rule blocks this machine's address: " +
	"allow the address in the registry's firewall, use its private endpoint, " +
	"or run dray inside that network (dray serve)"

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
