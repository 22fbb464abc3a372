package list

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/oci"
)

// hubHost is the host of Docker Hub's own API.
const hubHost = "hub.docker.com"

// hubTag is one row of Docker Hub's tags API.
type hubTag struct {
	Name    string  `json:"name"`
	Digest  *string `json:"digest"` // null for some old tags
	Updated string  `json:"last_updated"`
	Pushed  string  `json:"tag_last_pushed"`
}

// hubBulk returns Docker Hub's tags API. It needs another login than the registry, so it is asked
// without one; for private repositories it answers "not found".
func (r *Lister) hubBulk() *bulk {
	b := &bulk{name: "the tag list of " + hubHost, elsewhere: true}
	b.tags = func(ctx context.Context, show func([]oci.Listed) (int, error)) (bool, error) {
		h, c := r.taught.peer(hubHost), r.Apart("list tags of")
		c.Path, c.Query = "/v2/repositories/"+r.Repo.Path+"/tags", "page_size=100"
		l := &pages[hubTag]{host: h, key: "results", call: c}
		l.next = func(p page[hubTag]) string { return p.next }
		l.show = func(rows []hubTag) (int, error) {
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
		}
		_, err := l.run(ctx)
		return false, err
	}
	return b
}

// quayTag is one row of Quay's v1 tag API.
type quayTag struct {
	Name    string `json:"name"`
	Digest  string `json:"manifest_digest"`
	Updated string `json:"last_modified"`
	Started int64  `json:"start_ts"`
}

// quayBulk returns Quay's API v1. It does not accept logins of the registry: for private
// repositories it answers 401.
func (r *Lister) quayBulk() *bulk {
	b := &bulk{name: "the tag list of Quay's API v1"}
	b.tags = func(ctx context.Context, show func([]oci.Listed) (int, error)) (bool, error) {
		c := r.Apart("list tags of")
		c.Path, c.Query = "/api/v1/repository/"+r.Repo.Path+"/tag/", "limit=100&onlyActiveTags=true&page=1"
		l := &pages[quayTag]{host: r.Host, key: "tags", call: c, next: func(p page[quayTag]) string {
			if !p.more {
				return ""
			}
			return "?limit=100&onlyActiveTags=true&page=" + strconv.Itoa(p.number+1)
		}, show: func(rows []quayTag) (int, error) {
			tags := make([]oci.Listed, len(rows))
			for i, t := range rows {
				tags[i] = oci.Listed{
					Tag:        t.Name,
					Descriptor: oci.Descriptor{Digest: digestOf(t.Digest)},
					Updated:    moment(t.Updated),
				}
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

// harborArtifact is one row of Harbor's artifacts API.
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

// harborBulk returns Harbor's API v2.0. It accepts the registry's user and password, but not the
// registry's tokens.
func (r *Lister) harborBulk() *bulk {
	project, rest, ok := strings.Cut(r.Repo.Path, "/")
	if !ok {
		return nil
	}
	b := &bulk{name: "the artifact list of Harbor's API"}
	b.manifests = func(ctx context.Context, show func([]Manifest) (int, error)) (bool, error) {
		c, err := r.HarborCall(ctx, "list manifests of", project, rest)
		if err != nil {
			return false, err
		}
		c.Query = "page=1&page_size=100&with_tag=true"
		l := &pages[harborArtifact]{host: r.Host, call: c, full: 100}
		l.beyond = pageAfter[harborArtifact]("page_size=100&with_tag=true")
		l.show = func(rows []harborArtifact) (int, error) {
			all := make([]Manifest, len(rows))
			for i, a := range rows {
				all[i] = Manifest{
					Descriptor: oci.Descriptor{
						Digest:    digestOf(a.Digest),
						MediaType: reason.Clean(a.MediaType),
						Platform:  platform(a.Extra.OS, a.Extra.Arch),
					},
					Total:   a.Size,
					Created: moment(a.Extra.Created),
					Updated: moment(a.Pushed),
				}
				for _, t := range a.Tags {
					all[i].Tags = append(all[i].Tags, t.Name)
				}
			}
			return show(all)
		}
		return l.run(ctx)
	}
	b.tags = fromRows(b.manifests)
	return b
}
