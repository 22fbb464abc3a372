package list

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// githubHost is the host of ghcr.io's packages API.
const githubHost = "api.github.com"

// ghcrVersion is one row of GitHub's packages API: a manifest.
type ghcrVersion struct {
	Digest   string `json:"name"`
	Created  string `json:"created_at"`
	Updated  string `json:"updated_at"`
	Metadata struct {
		Container struct {
			Tags []string `json:"tags"`
		} `json:"container"`
	} `json:"metadata"`
}

// ghcrBulk returns GitHub's REST API for packages (version 2022-11-28). It always requires a login,
// and accepts the login of ghcr.io if that is a GitHub token. The token is sent to GitHub's own
// host; no other login is sent to another host than its registry and token service.
func (r *Lister) ghcrBulk() *bulk {
	owner, name, ok := strings.Cut(r.Repo.Path, "/")
	if !ok {
		return nil
	}
	b := &bulk{name: "the package list of " + githubHost, elsewhere: true}
	b.manifests = func(ctx context.Context, show func([]Manifest) (int, error)) (bool, error) {
		login, err := r.Access.Who(ctx)
		if err != nil {
			return false, err
		}
		h, c := r.taught.peer(githubHost), r.Apart("list manifests of")
		if login.IsAnonymous() || login.Scheme != credential.Basic {
			return false, c.Fault(fault.Denied, "", errNoToken)
		}
		c.Query = "per_page=100"
		c.Header = http.Header{"Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"},
			"Authorization": {"Bearer " + login.Password.Reveal()}}
		for _, kind := range []string{"/orgs/", "/users/"} {
			c.Path = kind + owner + "/packages/container/" + strings.ReplaceAll(name, "/", "%2F") + "/versions"
			c.Encoded = true
			l := &pages[ghcrVersion]{
				host:   h,
				call:   c,
				show:   func(rows []ghcrVersion) (int, error) { return show(versions(rows)) },
				full:   100,
				beyond: pageAfter[ghcrVersion]("per_page=100"),
			}
			if _, err = l.run(ctx); !fault.Is(err, fault.NotFound) {
				break // an owner is either an organization or a user
			}
		}
		return false, err
	}
	b.tags = fromRows(b.manifests)
	return b
}

// errNoToken is the reason why GitHub is not asked.
var errNoToken = errors.New("it requires a GitHub token, and there is none")

func versions(rows []ghcrVersion) []Manifest {
	all := make([]Manifest, len(rows))
	for i, v := range rows {
		all[i] = Manifest{Descriptor: oci.Descriptor{Digest: digestOf(v.Digest)}, Tags: v.Metadata.Container.Tags,
			Created: moment(v.Created), Updated: moment(v.Updated)}
	}
	return all
}
