package list

import (
	"context"
	"net/http"
	"net/url"

	"github.com/drayage/dray/internal/remote/reason"
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
		l := acrPages(r, "manifests", r.acrCall("list manifests of", "/_manifests"),
			func(m acrManifest) string { return m.Digest })
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
			MediaType: reason.Clean(m.MediaType),
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
	c := r.acrCall("list tags of", "/_tags")
	c.Query = query
	l := acrPages(r, "tags", c, func(t acrTag) string { return t.Name })
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
	return r.WithScope(ctx, "metadata_read", l.run)
}

// acrPages returns the pages of a list of Azure's API. nameOf returns what the parameter last takes.
func acrPages[T any](r *Lister, key string, c *wire.Call, nameOf func(T) string) *pages[T] {
	query := c.Query
	return &pages[T]{host: r.Host, key: key, sign: "imageName", call: c, full: pageSize, beyond: func(p page[T]) string {
		return query + "&last=" + url.QueryEscape(nameOf(p.rows[len(p.rows)-1]))
	}}
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
