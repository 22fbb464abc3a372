package remote

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/fault"
)

// Locked says why tag, which exists, can not be moved: "the tag is locked
// (writeEnabled=false)". It is "" where it can be, and where nothing tells. It
// costs one request on ACR, ECR, Harbor and Quay and none elsewhere. Canceled is
// the only error.
func (r *Repository) Locked(ctx context.Context, tag string) (why string, err error) {
	switch r.host.product() {
	case "acr":
		why, err = r.lockedACR(ctx, tag)
	case "ecr":
		var immutable bool
		if immutable, _, err = r.client.options.ECR.Immutable(ctx, r.repo, tag); immutable {
			why = "the tag is immutable (imageTagMutability of the repository)"
		}
	case "harbor":
		why, err = r.lockedHarbor(ctx, tag)
	case "quay":
		why, err = r.lockedQuay(ctx, tag)
	}
	if !fault.Is(err, fault.Canceled) {
		err = nil // what does not tell is no lock; the push will say
	}
	return why, err
}

// lockedACR reads the tag's attributes (GET /acr/v1/{name}/_tags/{tag}), with a
// token of its own: they take the action metadata_read, which pushing does not.
func (r *Repository) lockedACR(ctx context.Context, tag string) (string, error) {
	login, err := r.access.who(ctx)
	if err != nil {
		return "", err
	}
	who := &access{repo: r.repo, login: &login, scopes: []string{"repository:" + r.repo.Path + ":metadata_read"}}
	c := &call{op: "look at lock of", name: r.at(tag), method: http.MethodGet, path: "/acr/v1/" + r.repo.Path + "/_tags/" + tag, access: who, observe: r.observe, single: true}
	a, err := r.host.do(ctx, c, http.StatusOK)
	if err != nil {
		return "", err
	}
	var said struct {
		Tag struct {
			Attributes struct {
				Write *bool `json:"writeEnabled"`
			} `json:"changeableAttributes"`
		} `json:"tag"`
	}
	if json.Unmarshal(a.raw, &said) != nil || said.Tag.Attributes.Write == nil || *said.Tag.Attributes.Write {
		return "", nil
	}
	return "the tag is locked (writeEnabled=false)", nil
}

// lockedHarbor reads whether a rule of the project makes the tag immutable.
func (r *Repository) lockedHarbor(ctx context.Context, tag string) (string, error) {
	project, repository, _ := strings.Cut(r.repo.Path, "/")
	// A slash in the repository's name is escaped twice (Harbor API v2.0).
	path := "/api/v2.0/projects/" + project + "/repositories/" + url.PathEscape(url.PathEscape(repository)) + "/artifacts/" + tag + "/tags"
	c := &call{op: "look at lock of", name: r.at(tag), method: http.MethodGet, observe: r.observe, stay: true}
	a, err := r.api(ctx, c, path, url.Values{"with_immutable_status": {"true"}, "q": {"name=" + tag}}.Encode())
	if err != nil || a.status != http.StatusOK {
		return "", err
	}
	var tags []struct {
		Name      string `json:"name"`
		Immutable bool   `json:"immutable"`
	}
	if json.Unmarshal(a.raw, &tags) != nil {
		return "", nil
	}
	for _, t := range tags {
		if t.Name == tag && t.Immutable {
			return "the tag is immutable (a rule of the project)", nil
		}
	}
	return "", nil
}

// lockedQuay asks Quay's API, which takes no login of the registry: only public repositories tell.
func (r *Repository) lockedQuay(ctx context.Context, tag string) (string, error) {
	c := &call{op: "look at lock of", name: r.at(tag), method: http.MethodGet, observe: r.observe, stay: true,
		path: "/api/v1/repository/" + r.repo.Path + "/tag/", query: url.Values{"specificTag": {tag}, "onlyActiveTags": {"true"}, "limit": {"1"}}.Encode(), single: true}
	a, err := r.host.do(ctx, c, http.StatusOK)
	if err != nil {
		return "", err
	}
	var page struct {
		Tags []struct {
			Name      string `json:"name"`
			Immutable bool   `json:"immutable"`
		} `json:"tags"`
	}
	if json.Unmarshal(a.raw, &page) != nil {
		return "", nil
	}
	for _, t := range page.Tags {
		if t.Name == tag && t.Immutable {
			return "the tag is immutable", nil
		}
	}
	return "", nil
}
