package product

import (
	"net/http"
	"strings"
)

// SignInHint is for who needs a login, or another one.
func SignInHint(host string) string { return "sign in with: dray login " + host }

// Needed is the right that a request takes; "" is not known.
func Needed(product, method string) string {
	if method == http.MethodGet || method == http.MethodHead {
		return rights[product].Pull
	}
	return rights[product].Push
}

// FirewallHint is the way out where an address is refused, and not a login.
const FirewallHint = "a network rule refuses this address, whatever the login: allow it in the registry's firewall, or use its private endpoint, or run dray inside that network (dray serve)"

// Firewalled recognises a refusal of the address and not of the login. ACR: "client with IP '…' is not allowed access".
func Firewalled(status int, text string) bool {
	words := strings.ToLower(text)
	return status == http.StatusForbidden && (strings.Contains(words, "client with ip") || strings.Contains(words, "firewall") ||
		strings.Contains(words, "public network access") || strings.Contains(words, "ip address is not"))
}

// Placeless recognises that there is nothing to push into: no repository, no project of Harbor.
func Placeless(product, code, text string) bool {
	words := strings.ToLower(text)
	return code == "NAME_UNKNOWN" || product == "harbor" && strings.Contains(words, "project") && strings.Contains(words, "not found")
}

// CreateHint is for a push that meets nothing to push into.
func CreateHint(product string) string {
	switch product {
	case "ecr":
		return "create the repository first, or set create: private for this registry in the configuration"
	case "harbor":
		return "create the project first, or set create: private for this registry in the configuration"
	}
	return "create the repository first; this registry does not on its own"
}

// CutHint is for connections that end without an answer: ECR ends them where the repository is missing.
func CutHint(product, method, path string) string {
	if product == "ecr" && method == http.MethodPost && strings.HasSuffix(path, "/blobs/uploads/") {
		return "ECR does this where the repository is missing: " + CreateHint(product)
	}
	return ""
}
