package list

import (
	"context"
	"net/http"

	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
)

// acrTag is one row of ACR's /acr/v1/NAME/_tags.
type acrTag struct {
	Name    string `json:"name"`
	Digest  string `json:"digest"`
	Created string `json:"createdTime"`
	Updated string `json:"lastUpdateTime"`
}

// acrBulk returns the data plane API of Azure container registries (api-version 2021-07-01). Its
// list of manifests contains only some of their tags, so the tags are taken from the list of tags.
func (r *Lister) acrBulk() *bulk {
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
		l := &pages[acrManifest]{host: r.Host, key: "manifests", call: r.acrCall("list manifests of", "/_manifests")}
		l.show = func(rows []acrManifest) (int, error) {
			all := make([]Manifest, len(rows))
			for i, m := range rows {
				all[i] = m.manifest()
				all[i].Tags = tags[all[i].Digest]
			}
			return show(all)
		}
		return r.WithScope(ctx, "metadata_read", l.run)
	}
	return b
}

// acrManifest is one row of ACR's /acr/v1/NAME/_manifests.
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
	return Manifest{
		Descriptor: oci.Descriptor{
			Digest:    digestOf(m.Digest),
			MediaType: wire.Clean(m.MediaType),
			Platform:  platform(m.OS, m.Arch),
		},
		Total:   m.Size,
		Created: moment(m.Created),
		Updated: moment(m.Updated),
	}
}

// acrTags lists tags with the query parameters in query.
func (r *Lister) acrTags(
	ctx context.Context, query string, show func([]oci.Listed) (int, error),
) (unknown bool, err error) {
	l := &pages[acrTag]{host: r.Host, key: "tags", call: r.acrCall("list tags of", "/_tags")}
	l.show = func(rows []acrTag) (int, error) {
		tags := make([]oci.Listed, len(rows))
		for i, t := range rows {
			tags[i] = oci.Listed{
				Tag:        t.Name,
				Descriptor: oci.Descriptor{Digest: digestOf(t.Digest)},
				Updated:    moment(t.Updated),
				Created:    moment(t.Created),
			}
		}
		return show(tags)
	}
	l.call.Query = query
	return r.WithScope(ctx, "metadata_read", l.run)
}

func (r *Lister) acrCall(op, tail string) *wire.Call {
	return &wire.Call{
		Op:      op,
		Name:    r.Repo.String(),
		Method:  http.MethodGet,
		Path:    "/acr/v1/" + r.Repo.Path + tail,
		Query:   "n=1000",
		Access:  r.Access,
		Observe: r.Observe,
	}
}
