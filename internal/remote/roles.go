package remote

import (
	"errors"
	"net/http"
	"strings"

	"github.com/drayage/dray/ref"
)

// Rights are what a registry itself calls the rights to read and to write there.
type Rights struct{ Pull, Push string }

// rights by product. docs/permissions.md is the table for people.
var rights = map[string]Rights{
	"acr": {"AcrPull (with ABAC: Container Registry Repository Reader)", "AcrPush (with ABAC: Container Registry Repository Writer)"},
	"ecr": {"ecr:GetAuthorizationToken, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer",
		"ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, ecr:PutImage"},
	"gar":         {"Artifact Registry Reader", "Artifact Registry Writer"},
	"ghcr":        {"read:packages", "write:packages"},
	"hub":         {"an access token with read", "an access token with read and write"},
	"harbor":      {"guest in the project", "developer in the project"},
	"quay":        {"read on the repository", "write on the repository"},
	"gitlab":      {"read_registry", "write_registry"},
	"artifactory": {"Read on the repository", "Deploy/Cache on the repository"},
	"nexus":       {"nx-repository-view-docker-*-read", "nx-repository-view-docker-*-add and -edit"},
	"zot":         {"read", "read, create and update"},
	"gitea":       {"read:package", "write:package"},
}

// slow are the products whose role assignments take a while to count.
var slow = map[string]string{
	"acr": "a role that was assigned just now takes up to ten minutes to count",
	"gar": "a role that was granted just now takes up to seven minutes to count",
	"ecr": "a policy that was changed just now takes a few minutes to count",
}

// Traits is what is known of a registry without asking it. "" is not known.
type Traits struct {
	Product string // "acr", "ecr", "hub", "harbor", …
	Rights  Rights
	Slow    string // a sentence: how long a new right takes to count
	Mount   string // whether blobs are mounted across its repositories
	Resume  string // whether a cut upload goes on
}

// mounts by product, with what they need.
var mounts = map[string]string{
	"acr": "yes", "hub": "yes", "harbor": "yes", "quay": "yes", "gar": "yes", "gitlab": "yes", "distribution": "yes", "gitea": "yes",
	"ecr": "only with BLOB_MOUNTING enabled in the account, within account and region",
	"zot": "where deduplication is on",
}

var resumes = map[string]string{
	"hub": "yes", "harbor": "yes", "quay": "yes", "gitlab": "yes", "distribution": "yes", "gitea": "yes",
}

// Traits tells what is known of host, which is in canonical form. It makes no request.
func (c *Client) Traits(host string) Traits {
	h := c.host(host)
	p := h.product()
	t := Traits{Product: p, Rights: rights[p], Slow: slow[p], Mount: mounts[p], Resume: resumes[p]}
	if h.dialect.NoResume {
		t.Resume = "no"
	}
	return t
}

// product is what runs at the host; "" when it is not known.
func (h *host) product() string {
	switch p := productOf(h.name, h.set); p {
	case "":
		return h.knows().kind
	case "dockerhub":
		return "hub"
	default:
		return p
	}
}

// deniedHint tells a rule of the network from a missing project, a missing right, and a login.
func (h *host) deniedHint(c *call, a *answer) string {
	_, text := a.problem()
	switch {
	case firewalled(a):
		return firewallHint
	case h.placeless("", text):
		return h.createHint()
	case a.status != http.StatusForbidden:
		return h.signIn()
	}
	need := rights[h.product()].Pull
	if c.class() == 1 {
		need = rights[h.product()].Push
	}
	if need == "" {
		return h.signIn()
	}
	return "the login needs " + need + "; else " + h.signIn()
}

const firewallHint = "a network rule refuses this address, whatever the login: allow it in the registry's firewall, or use its private endpoint, or run dray inside that network (dray serve)"

// firewalled recognises a refusal of the address and not of the login. ACR: "client with IP '…' is not allowed access".
func firewalled(a *answer) bool {
	_, text := a.problem()
	words := strings.ToLower(text)
	return a.status == http.StatusForbidden && (strings.Contains(words, "client with ip") || strings.Contains(words, "firewall") ||
		strings.Contains(words, "public network access") || strings.Contains(words, "ip address is not"))
}

// placeless recognises that there is nothing to push into: no repository, no project of Harbor.
func (h *host) placeless(code, text string) bool {
	words := strings.ToLower(text)
	return code == "NAME_UNKNOWN" || h.product() == "harbor" && strings.Contains(words, "project") && strings.Contains(words, "not found")
}

// createHint is for a push that meets nothing to push into.
func (h *host) createHint() string {
	switch h.product() {
	case "ecr":
		return "create the repository first, or set create: private for this registry in the configuration"
	case "harbor":
		return "create the project first, or set create: private for this registry in the configuration"
	}
	return "create the repository first; this registry does not on its own"
}

// cutHint is for connections that end without an answer: ECR ends them where the repository is missing.
func (h *host) cutHint(c *call) string {
	if h.product() == "ecr" && c.method == http.MethodPost && strings.HasSuffix(c.path, "/blobs/uploads/") {
		return "ECR does this where the repository is missing: " + h.createHint()
	}
	return ""
}

// projectOf is the first component of a path: Harbor's project.
func projectOf(repo ref.Repo) string {
	project, _, _ := strings.Cut(repo.Path, "/")
	return project
}

// ErrUnauthorized is in the tree of an error when the registry itself, and not its token service, answered 401 for good.
var ErrUnauthorized = errors.New("unauthorized")

// unauthorized reads as the answer did.
type unauthorized struct{ error }

func (unauthorized) Is(target error) bool { return target == ErrUnauthorized }
