package product

// grants holds a registry's own names for the permissions to read and to write.
type grants struct{ Pull, Push string }

// rights holds the names by product. The table for users is docs/permissions.md.
var rights = map[string]grants{
	"acr": {
		Pull: "AcrPull (with ABAC: Container Registry Repository Reader)",
		Push: "AcrPush (with ABAC: Container Registry Repository Writer)",
	},
	"ecr": {
		Pull: "ecr:GetAuthorizationToken, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer",
		Push: "ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, " +
			"ecr:CompleteLayerUpload, ecr:PutImage",
	},
	"gar":         {"Artifact Registry Reader", "Artifact Registry Writer"},
	"ghcr":        {"read:packages", "write:packages"},
	"dockerhub":   {"an access token with the permission read", "an access token with the permissions read and write"},
	"harbor":      {"guest in the project", "developer in the project"},
	"quay":        {"read on the repository", "write on the repository"},
	"gitlab":      {"read_registry", "write_registry"},
	"artifactory": {"Read on the repository", "Deploy/Cache on the repository"},
	"nexus":       {"nx-repository-view-docker-*-read", "nx-repository-view-docker-*-add and -edit"},
	"zot":         {"read", "read, create and update"},
	"gitea":       {"read:package", "write:package"},
}

// slow holds the products at which a changed permission takes a while to take effect.
var slow = map[string]string{
	"acr": "a new role assignment takes up to ten minutes to take effect",
	"gar": "a newly granted role takes up to seven minutes to take effect",
	"ecr": "a policy change takes a few minutes to take effect",
}

// Traits is what is known about a registry in advance. "" means unknown.
type Traits struct {
	Product string // "acr", "ecr", "dockerhub", "harbor", …
	Slow    string // a sentence that says how long a new permission takes to take effect
	Mount   string // whether blobs can be mounted from other repositories of the registry
	Resume  string // whether an interrupted upload can be resumed
}

// mounts says, by product, whether blobs can be mounted, and under which condition.
var mounts = map[string]string{
	"acr":          "yes",
	"dockerhub":    "yes",
	"harbor":       "yes",
	"quay":         "yes",
	"gar":          "yes",
	"gitlab":       "yes",
	"distribution": "yes",
	"gitea":        "yes",
	"ecr":          "only if BLOB_MOUNTING is enabled in the account, and only within one account and region",
	"zot":          "only if deduplication is enabled",
}

// resumes holds the products at which an interrupted upload can be resumed.
var resumes = map[string]string{
	"dockerhub": "yes", "harbor": "yes", "quay": "yes", "gitlab": "yes", "distribution": "yes", "gitea": "yes",
}

// TraitsOf returns the traits of product for a registry with the dialect d.
func TraitsOf(product string, d Dialect) Traits {
	t := Traits{
		Product: product,
		Slow:    slow[product],
		Mount:   mounts[product],
		Resume:  resumes[product],
	}
	if d.NoResume {
		t.Resume = "no"
	}
	return t
}
