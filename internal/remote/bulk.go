package remote

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// bulk is a list that a registry has beside the distribution API and that tells digests.
type bulk struct {
	name      string // for people
	elsewhere bool   // asked of another host than the registry, which may be down or closed on its own

	tags      func(context.Context, func([]oci.Listed) (int, error)) (unknown bool, err error)
	manifests func(context.Context, func([]Manifest) (int, error)) (unknown bool, err error) // nil: only tags are listed
}

// bulks make the list of a repository by the registry's kind; nil where this repository has none.
var bulks = map[string]func(*Repository) *bulk{
	"acr": (*Repository).acrBulk, "hub": (*Repository).hubBulk, "quay": (*Repository).quayBulk,
	"harbor": (*Repository).harborBulk, "ghcr": (*Repository).ghcrBulk, "ecr": (*Repository).ecrBulk,
}

func (r *Repository) bulk() *bulk {
	if !r.host.hasBulk() {
		return nil
	}
	return bulks[r.host.kind()](r)
}

// hasBulk reports whether repositories of h are expected to have such a list.
// Where it is at a host of its own, that one lists no other registry's.
func (h *host) hasBulk() bool {
	kind := h.kind()
	switch {
	case bulks[kind] == nil || h.knows().noBulk:
		return false
	case kind == "hub":
		return h.name == ref.DockerHub
	case kind == "ghcr":
		return h.name == "ghcr.io"
	case kind == "ecr": // its public registry's list is its owner's alone
		return h.options.ECR.Lists(h.name)
	}
	return true
}

// kind is what runs at the host: configured, told from its name, or learned.
func (h *host) kind() string {
	if h.dialect.Kind != "" || h.set.Kind != "" {
		return h.dialect.Kind
	}
	return h.knows().kind
}

// recognise learns the kind from a challenge: Harbor and Quay under names of
// their own, and ACR behind a custom domain, show themselves there.
func (h *host) recognise(offered []challenge) {
	for _, ch := range offered {
		realm, err := url.Parse(ch.params["realm"])
		if err != nil || ch.scheme != "bearer" {
			continue
		}
		kind := ""
		switch {
		case ch.params["service"] == "harbor-registry":
			kind = "harbor"
		case strings.HasSuffix(realm.Hostname(), ".azurecr.io") && realm.Path == "/oauth2/token":
			kind = "acr"
		case realm.Path == "/v2/auth" && ch.params["service"] == realm.Host:
			kind = "quay"
		}
		if kind != "" {
			h.learn(func(l *learned) { l.kind = kind })
		}
	}
}

// fromRows turns a list of manifests into one of tags.
func fromRows(manifests func(context.Context, func([]Manifest) (int, error)) (bool, error)) func(context.Context, func([]oci.Listed) (int, error)) (bool, error) {
	return func(ctx context.Context, show func([]oci.Listed) (int, error)) (bool, error) {
		return manifests(ctx, func(rows []Manifest) (int, error) {
			var tags []oci.Listed
			for _, m := range rows {
				for _, tag := range m.Tags {
					tags = append(tags, oci.Listed{Tag: tag, Descriptor: oci.Descriptor{Digest: m.Digest, MediaType: m.MediaType}, Updated: m.Updated, Created: m.Created})
				}
			}
			if _, err := show(tags); err != nil {
				return 0, err
			}
			return len(rows), nil // a page of manifests without tags is no stray
		})
	}
}

// acrTag is a row of ACR's /acr/v1/NAME/_tags.
type acrTag struct {
	Name    string `json:"name"`
	Digest  string `json:"digest"`
	Created string `json:"createdTime"`
	Updated string `json:"lastUpdateTime"`
}

// acrBulk is the data plane API of Azure container registries (api-version
// 2021-07-01). Its manifests name no more than some of their tags, so these
// are taken from the list of tags.
func (r *Repository) acrBulk() *bulk {
	b := &bulk{name: "the tag list of Azure's own API"}
	b.tags = func(ctx context.Context, show func([]oci.Listed) (int, error)) (bool, error) {
		return r.acrTags(ctx, "n=1000", show)
	}
	b.manifests = func(ctx context.Context, show func([]Manifest) (int, error)) (bool, error) {
		tags := map[oci.Digest][]string{}
		unknown, err := b.tags(ctx, func(rows []oci.Listed) (int, error) {
			for _, t := range rows {
				tags[t.Descriptor.Digest] = append(tags[t.Descriptor.Digest], t.Tag)
			}
			return len(rows), nil
		})
		if err != nil {
			return unknown, err
		}
		l := &pages[acrManifest]{host: r.host, key: "manifests", call: r.acrCall("list manifests of", "/_manifests"), show: func(rows []acrManifest) (int, error) {
			all := make([]Manifest, len(rows))
			for i, m := range rows {
				all[i] = m.manifest()
				all[i].Tags = tags[all[i].Digest]
			}
			return show(all)
		}}
		return r.withScope(ctx, "metadata_read", l.run)
	}
	return b
}

// acrManifest is a row of ACR's /acr/v1/NAME/_manifests.
type acrManifest struct {
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
	Size      int64  `json:"imageSize"`
	Created   string `json:"createdTime"`
	Updated   string `json:"lastUpdateTime"`
	Arch      string `json:"architecture"`
	OS        string `json:"os"`
}

func (m acrManifest) manifest() Manifest {
	return Manifest{Descriptor: oci.Descriptor{Digest: digestOf(m.Digest), MediaType: clean(m.MediaType), Platform: platform(m.OS, m.Arch)},
		Total: m.Size, Created: moment(m.Created), Updated: moment(m.Updated)}
}

func platform(os, arch string) *oci.Platform {
	if os == "" && arch == "" {
		return nil
	}
	return &oci.Platform{OS: clean(os), Architecture: clean(arch)}
}

// acrTags lists tags as query says.
func (r *Repository) acrTags(ctx context.Context, query string, show func([]oci.Listed) (int, error)) (unknown bool, err error) {
	l := &pages[acrTag]{host: r.host, key: "tags", call: r.acrCall("list tags of", "/_tags"), show: func(rows []acrTag) (int, error) {
		tags := make([]oci.Listed, len(rows))
		for i, t := range rows {
			tags[i] = oci.Listed{Tag: t.Name, Descriptor: oci.Descriptor{Digest: digestOf(t.Digest)}, Updated: moment(t.Updated), Created: moment(t.Created)}
		}
		return show(tags)
	}}
	l.call.query = query
	return r.withScope(ctx, "metadata_read", l.run)
}

func (r *Repository) acrCall(op, tail string) *call {
	return &call{op: op, name: r.repo.String(), method: http.MethodGet, path: "/acr/v1/" + r.repo.Path + tail, query: "n=1000",
		access: r.access, observe: r.observe}
}

// withScope asks with a further right on the repository, and takes its scope
// back where that brought nothing: a token service may refuse all for one.
func (r *Repository) withScope(ctx context.Context, action string, ask func(context.Context) (bool, error)) (bool, error) {
	scope := "repository:" + r.repo.Path + ":" + action
	had := r.access.covers(scope)
	r.access.need(scope)
	unknown, err := ask(ctx)
	if err != nil && !had {
		r.access.drop(scope)
	}
	return unknown, err
}

// hubHost is where Docker Hub's own API is.
const hubHost = "hub.docker.com"

// hubTag is a row of Docker Hub's tags API.
type hubTag struct {
	Name    string  `json:"name"`
	Digest  *string `json:"digest"` // null for some old tags
	Updated string  `json:"last_updated"`
	Pushed  string  `json:"tag_last_pushed"`
}

// hubBulk is Docker Hub's tags API. It takes another login than the registry,
// so it is asked without one: private repositories are "not found" there.
func (r *Repository) hubBulk() *bulk {
	b := &bulk{name: "the tag list of " + hubHost, elsewhere: true}
	b.tags = func(ctx context.Context, show func([]oci.Listed) (int, error)) (bool, error) {
		h, c := r.away(hubHost, "list tags of")
		c.path, c.query = "/v2/repositories/"+r.repo.Path+"/tags", "page_size=100"
		l := &pages[hubTag]{host: h, key: "results", call: c, next: func(p page[hubTag]) string { return p.next }, show: func(rows []hubTag) (int, error) {
			tags := make([]oci.Listed, len(rows))
			for i, t := range rows {
				tags[i] = oci.Listed{Tag: t.Name, Updated: moment(t.Updated)}
				if t.Digest != nil {
					tags[i].Descriptor.Digest = digestOf(*t.Digest)
				}
				if p := moment(t.Pushed); !p.IsZero() {
					tags[i].Updated = p
				}
			}
			return show(tags)
		}}
		_, err := l.run(ctx)
		return false, err
	}
	return b
}

// away begins a call to an API at another host, which gets no login of the registry.
func (r *Repository) away(host, op string) (*host, *call) {
	return r.client.host(host), &call{op: op, name: r.repo.String(), method: http.MethodGet, observe: r.observe, stay: true}
}

// quayTag is a row of Quay's v1 tag API.
type quayTag struct {
	Name    string `json:"name"`
	Digest  string `json:"manifest_digest"`
	Updated string `json:"last_modified"`
	Started int64  `json:"start_ts"`
}

// quayBulk is Quay's API v1, which logins of the registry do not open: it
// answers 401 for private repositories.
func (r *Repository) quayBulk() *bulk {
	b := &bulk{name: "the tag list of Quay's API v1"}
	b.tags = func(ctx context.Context, show func([]oci.Listed) (int, error)) (bool, error) {
		_, c := r.away(r.host.name, "list tags of")
		c.path, c.query = "/api/v1/repository/"+r.repo.Path+"/tag/", "limit=100&onlyActiveTags=true&page=1"
		l := &pages[quayTag]{host: r.host, key: "tags", call: c, next: func(p page[quayTag]) string {
			if !p.more {
				return ""
			}
			return "?limit=100&onlyActiveTags=true&page=" + strconv.Itoa(p.number+1)
		}, show: func(rows []quayTag) (int, error) {
			tags := make([]oci.Listed, len(rows))
			for i, t := range rows {
				tags[i] = oci.Listed{Tag: t.Name, Descriptor: oci.Descriptor{Digest: digestOf(t.Digest)}, Updated: moment(t.Updated)}
				if tags[i].Updated.IsZero() && t.Started > 0 {
					tags[i].Updated = time.Unix(t.Started, 0).UTC()
				}
			}
			return show(tags)
		}}
		return l.run(ctx)
	}
	return b
}

// harborArtifact is a row of Harbor's artifacts API.
type harborArtifact struct {
	Digest    string `json:"digest"`
	MediaType string `json:"manifest_media_type"`
	Size      int64  `json:"size"`
	Pushed    string `json:"push_time"`
	Tags      []struct {
		Name string `json:"name"`
	} `json:"tags"`
	Extra struct {
		Arch    string `json:"architecture"`
		OS      string `json:"os"`
		Created string `json:"created"`
	} `json:"extra_attrs"`
}

// harborBulk is Harbor's API v2.0. It takes the registry's user and password as
// they are, and tokens of the registry not at all.
func (r *Repository) harborBulk() *bulk {
	project, rest, ok := strings.Cut(r.repo.Path, "/")
	if !ok {
		return nil
	}
	b := &bulk{name: "the artifact list of Harbor's API"}
	b.manifests = func(ctx context.Context, show func([]Manifest) (int, error)) (bool, error) {
		c, err := r.harborCall(ctx, "list manifests of", project, rest)
		if err != nil {
			return false, err
		}
		c.query = "page=1&page_size=100&with_tag=true"
		l := &pages[harborArtifact]{host: r.host, call: c, show: func(rows []harborArtifact) (int, error) {
			all := make([]Manifest, len(rows))
			for i, a := range rows {
				all[i] = Manifest{Descriptor: oci.Descriptor{Digest: digestOf(a.Digest), MediaType: clean(a.MediaType), Platform: platform(a.Extra.OS, a.Extra.Arch)},
					Total: a.Size, Created: moment(a.Extra.Created), Updated: moment(a.Pushed)}
				for _, t := range a.Tags {
					all[i].Tags = append(all[i].Tags, t.Name)
				}
			}
			return show(all)
		}}
		return l.run(ctx)
	}
	b.tags = fromRows(b.manifests)
	return b
}

// harborCall begins a call below a repository of Harbor's API, where a slash in the repository's name is encoded twice.
func (r *Repository) harborCall(ctx context.Context, op, project, rest string) (*call, error) {
	_, c := r.away(r.host.name, op)
	c.path = fmt.Sprintf("/api/v2.0/projects/%s/repositories/%s/artifacts", project, strings.ReplaceAll(rest, "/", "%2F"))
	login, err := r.access.who(ctx)
	if err == nil && !login.IsAnonymous() && login.Scheme == credential.Basic {
		c.header = http.Header{"Authorization": {basic(login)}}
	}
	return c, err
}

// number reads a count of bytes out of a text; what is none is 0.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
