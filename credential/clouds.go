package credential

import (
	"context"

	"github.com/drayage/dray/ref"
)

// Clouds combines the lookups of all clouds that dray knows: [Azure], [ECR], [Google] and [GHCR].
type Clouds struct {
	Cloud
	ACR []string // hosts of Azure container registries that have other names; see Azure.Hosts
}

// Lookups returns the four lookups. Put them last in a Chain, after the logins that someone configured for a
// registry. They share what they learn about metadata services.
func (c Clouds) Lookups() Chain {
	m := c.machine()
	return Chain{
		Azure{Cloud: c.Cloud, Hosts: c.ACR}.on(m), ECR{Cloud: c.Cloud}.on(m),
		Google{Cloud: c.Cloud}.on(m), GHCR{Env: c.Env}.Lookup(),
	}
}

// GHCR finds the login for ghcr.io in $GITHUB_TOKEN. The user is $GITHUB_ACTOR, or "dray" if that is not set.
type GHCR struct {
	// Env returns the value of an environment variable, like os.Getenv; nil means that none is set.
	Env func(string) string
}

// Lookup returns a Lookup for ghcr.io. It makes no requests and returns no errors.
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
