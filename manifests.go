package dray

import (
	"context"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/oci"
)

// ManifestEntry is one manifest of a repository. Its JSON names are those of
// `az acr manifest list-metadata`; what the registry does not tell is left out.
type ManifestEntry struct {
	Digest    oci.Digest `json:"digest"`
	Tags      []string   `json:"tags,omitempty"`
	Size      int64      `json:"imageSize,omitempty"` // bytes, as the registry counts them
	Created   *time.Time `json:"createdTime,omitempty"`
	Updated   *time.Time `json:"lastUpdateTime,omitempty"`
	MediaType string     `json:"mediaType,omitempty"`
	Arch      string     `json:"architecture,omitempty"`
	OS        string     `json:"os,omitempty"`
}

// listManifests calls visit with each manifest and index of a repository.
func listManifests(ctx context.Context, b *base, names *reader, req lookRequest, obs event.Observer, visit func(ManifestEntry) error) error {
	name, err := names.parse(req.Name)
	switch {
	case err != nil:
		return err
	case name.IsLayout():
		return invalid("list manifests of", name.String(), "a layout", "dray ls lists its images")
	case name.Tag != "" || name.Digest != "":
		return invalid("list manifests of", name.String(), "this names one image", "leave the tag off, or use dray inspect")
	}
	s := b.begin(req.Login, nil, obs)
	if here, ok := b.local(name.Host); ok {
		return listLocal(ctx, here, name.Repo, visit)
	}
	at := b.remote.Open(name.Repo, remote.Use{Actions: remote.Pull, Login: req.Login, Observe: s.observe})
	return at.Manifests(ctx, func(m remote.Manifest) error {
		e := ManifestEntry{Digest: m.Digest, Tags: m.Tags, Size: m.Total, Created: moment(m.Created), Updated: moment(m.Updated), MediaType: m.MediaType}
		if m.Platform != nil {
			e.Arch, e.OS = m.Platform.Architecture, m.Platform.OS
		}
		return visit(e)
	})
}

// moment is nil for a time that is not known.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
