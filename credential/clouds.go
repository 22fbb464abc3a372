package credential

import (
	"context"

	"github.com/drayage/dray/ref"
)

// Clouds are the logins of all clouds that dray knows.
type Clouds struct {
	Cloud
	ACR []string // hosts of Azure registries under names of their own; see Azure.Hosts
}

// Lookups asks Azure, ECR, Google and GHCR; they stand last in a Chain, after everything that
// somebody configured for a registry. The four share what they learn of metadata services.
func (c Clouds) Lookups() Chain {
	m := c.machine()
	return Chain{
		Azure{Cloud: c.Cloud, Hosts: c.ACR}.on(m), ECR{Cloud: c.Cloud}.on(m),
		Google{Cloud: c.Cloud}.on(m), GHCR{Env: c.Env}.Lookup(),
	}
}

// GHCR answers for ghcr.io with $GITHUB_TOKEN, where that is set; the user is $GITHUB_ACTOR, else "dray".
type GHCR struct {
	Env func(string) string // how variables are read, as os.Getenv; nil means none is set
}

// Lookup makes no request and has no errors.
func (g GHCR) Lookup() Lookup {
	c := Cloud{Env: g.Env}
	return func(_ context.Context, repo ref.Repo) (Login, bool, error) {
		t := c.env("GITHUB_TOKEN")
		if repo.Host != "ghcr.io" || t == "" {
			return Login{}, false, nil
		}
		user := c.env("GITHUB_ACTOR")
		if user == "" {
			user = "dray"
		}
		return Login{User: user, Password: New(t), From: "env GITHUB_TOKEN"}, true, nil
	}
}
