package look

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/nearest"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
)

// described is what dray finds out about a name at a registry that has no list of attributes. The keys are
// those of Azure.
type described struct {
	Registry string     `json:"registry,omitempty"` // of a repository, as the next two
	Image    string     `json:"imageName,omitempty"`
	TagCount *int       `json:"tagCount,omitempty"`
	Name     string     `json:"name,omitempty"` // the tag
	Digest   oci.Digest `json:"digest,omitempty"`
	Type     string     `json:"mediaType,omitempty"`
}

// Metadata returns what the registry knows of an image or a repository, as a JSON object with Azure's keys.
func Metadata(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
) (json.RawMessage, error) {
	name, err := names.Noting(obs).Parse(req.Name, "")
	if err != nil {
		return nil, err
	}
	if !name.IsLayout() {
		s := b.Begin(req.Login, nil, obs)
		defer s.Release()
		at := b.Remote.Open(name.Repo, remote.Use{Actions: remote.Pull, Login: req.Login, Observe: s.Watch()})
		if at.HasAttributes() {
			raw, err := at.Attributes(ctx, cmp.Or(name.Digest, name.Tag))
			return raw, nearest.Hint(ctx, s, name, err)
		}
	}
	_, at, s, err := open(b, names, req, obs)
	if err != nil {
		return nil, err
	}
	defer s.Release()
	d := described{Name: name.Tag}
	if name.Tag == "" && name.Digest == "" {
		count := 0
		d = described{Registry: name.Host, Image: name.Dir + name.Path, TagCount: &count}
		err = at.List(ctx, func(oci.Listed) error {
			count++
			return nil
		})
	} else {
		var desc oci.Descriptor
		desc, err = at.Resolve(ctx, survey.Reference(name))
		d.Digest, d.Type = desc.Digest, desc.MediaType
	}
	if err != nil {
		return nil, nearest.Hint(ctx, s, name, err)
	}
	return json.Marshal(d)
}

// SetAttributes changes what may be done with an image or a repository, and returns its metadata then.
func SetAttributes(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, a oci.Attributes, obs event.Observer,
) (json.RawMessage, error) {
	name, err := names.Parse(req.Name, fault.Target)
	if err != nil {
		return nil, err
	}
	if name.IsLayout() {
		return nil, fault.Misuse("lock", name.String(), "this is a layout on disk", "name a registry")
	}
	s := b.Begin(req.Login, nil, obs)
	defer s.Release()
	at := b.Remote.Open(name.Repo, remote.Use{Actions: remote.Pull, Login: req.Login, Observe: s.Watch()})
	return at.SetAttributes(ctx, cmp.Or(name.Digest, name.Tag), a)
}

// Referrers returns what refers to an image: signatures, attestations, SBOMs.
func Referrers(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
) ([]oci.Descriptor, error) {
	name, at, s, err := open(b, names, req, obs)
	if err != nil {
		return nil, err
	}
	defer s.Release()
	desc, err := at.Resolve(ctx, survey.Reference(name))
	if err != nil {
		return nil, nearest.Hint(ctx, s, name, err)
	}
	return at.Referrers(ctx, desc)
}
