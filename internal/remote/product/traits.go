package product

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

// TraitsOf tells what is known of a product, whose registry has the dialect d.
func TraitsOf(product string, d Dialect) Traits {
	t := Traits{Product: product, Rights: rights[product], Slow: slow[product], Mount: mounts[product], Resume: resumes[product]}
	if d.NoResume {
		t.Resume = "no"
	}
	return t
}
