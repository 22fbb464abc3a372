package dray

import (
	"context"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/look"
	"github.com/drayage/dray/oci"
)

// LookRequest names what is looked at.
type LookRequest struct {
	Name  string            // an image, a repository, "HOST/PREFIX/" or a host, as each verb says
	Login *credential.Login // nil asks Config.Logins
}

// Digest resolves an image: one HEAD.
func (d *Dray) Digest(ctx context.Context, req LookRequest, obs event.Observer) (oci.Descriptor, error) {
	return look.Digest(ctx, d.base, d.names, look.Request(req), obs)
}

// Manifest reads an image's manifest or index: one GET. Its Raw bytes are those of the registry.
func (d *Dray) Manifest(ctx context.Context, req LookRequest, obs event.Observer) (oci.Document, error) {
	return look.Manifest(ctx, d.base, d.names, look.Request(req), obs)
}

// ImageConfig reads the configuration of a plain image, or of the one platform of an
// index. An index of several platforms is Invalid: its children are named by digest.
func (d *Dray) ImageConfig(ctx context.Context, req LookRequest, obs event.Observer) ([]byte, error) {
	return look.Config(ctx, d.base, d.names, look.Request(req), obs)
}

// Inspect reads an image's documents and the configuration of each platform. No layer is read.
func (d *Dray) Inspect(ctx context.Context, req LookRequest, obs event.Observer) (Image, error) {
	return look.Inspect(ctx, d.base, d.names, look.Request(req), obs)
}

// List calls visit with each entry: of "HOST" and "HOST/PREFIX/" the repositories,
// of "HOST/REPO" and "oci:DIR" the tags with their digests, in the registry's
// order. It stops when visit returns an error, and returns that. A tag whose
// digest could not be had comes with its Err.
func (d *Dray) List(ctx context.Context, req LookRequest, obs event.Observer, visit func(Entry) error) error {
	return look.List(ctx, d.base, d.names, look.Request(req), obs, visit)
}

// ListTags calls visit with each tag of the repository or layout that req names,
// as its listing tells of it, until visit returns an error, and returns that.
// Unlike List it asks for no tag by itself: Digest is "" where the listing does
// not tell it.
func (d *Dray) ListTags(ctx context.Context, req LookRequest, obs event.Observer, visit func(Entry) error) error {
	return look.Tags(ctx, d.base, d.names, look.Request(req), obs, visit)
}

// ListManifests calls visit with each manifest and index of the repository that
// req names, until visit returns an error, and returns that. Those without a tag
// are among them where the registry lists them; where not, an event says so. A
// layout, or a name with a tag or digest, is Invalid.
func (d *Dray) ListManifests(ctx context.Context, req LookRequest, obs event.Observer, visit func(ManifestEntry) error) error {
	return look.Manifests(ctx, d.base, d.names, look.Request(req), obs, visit)
}
