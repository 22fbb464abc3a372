package dray

import (
	"context"
	"encoding/json"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/look"
	"github.com/drayage/dray/oci"
)

// LookRequest names what to look at.
type LookRequest struct {
	Name  string            // an image, a repository, "HOST/PREFIX/" or a host, as each method says
	Login *credential.Login // nil means Config.Logins

	// Platform is the image to look at in an index, for Digest, Manifest, ImageConfig, Inspect and Tree. The zero
	// value means the index itself. The error is [fault.NotFound] if the index has no image for it; it lists
	// the platforms that there are.
	Platform oci.Platform

	// Types are the artifact types of the referrers that Tree shows, with those that lead to one. cosign's own are the
	// media types of its layers. None means all referrers.
	Types []string
}

// Digest returns the descriptor of an image, with one HEAD request, or with one GET request for a Platform.
// The error is [fault.NotFound] if the image does not exist.
func (d *Dray) Digest(ctx context.Context, req LookRequest, obs event.Observer) (oci.Descriptor, error) {
	return look.Digest(ctx, d.base, d.names, look.Request(req), obs)
}

// Manifest returns the manifest or index of an image, with one GET request, or two for a Platform. Its Raw
// bytes are those that the registry sent.
func (d *Dray) Manifest(ctx context.Context, req LookRequest, obs event.Observer) (oci.Document, error) {
	return look.Manifest(ctx, d.base, d.names, look.Request(req), obs)
}

// ImageConfig returns the configuration of a single image, or that of the only platform of an index.
// The error is [fault.Invalid] for an index of several platforms if the request names none of them.
func (d *Dray) ImageConfig(ctx context.Context, req LookRequest, obs event.Observer) ([]byte, error) {
	return look.Config(ctx, d.base, d.names, look.Request(req), obs)
}

// Inspect reads the manifests of an image and the configuration of each platform. It reads no layer.
func (d *Dray) Inspect(ctx context.Context, req LookRequest, obs event.Observer) (Image, error) {
	return look.Inspect(ctx, d.base, d.names, look.Request(req), obs)
}

// List calls visit with each repository of "HOST" or "HOST/PREFIX/", or with each tag of "HOST/REPO" or
// each image of "oci:DIR" and its digest, in the registry's order. If visit returns an error, List stops and returns
// it. If the digest of a tag cannot be read, the Err of the entry says why, and List continues.
func (d *Dray) List(ctx context.Context, req LookRequest, obs event.Observer, visit func(Entry) error) error {
	return look.List(ctx, d.base, d.names, look.Request(req), obs, visit)
}

// ListTags calls visit with each tag of the repository or layout that req names. If visit returns an
// error, ListTags stops and returns it. Unlike [Dray.List], ListTags makes no request for a single tag:
// the Digest of an entry is "" if the registry's listing does not contain digests.
func (d *Dray) ListTags(ctx context.Context, req LookRequest, obs event.Observer, visit func(Entry) error) error {
	return look.Tags(ctx, d.base, d.names, look.Request(req), obs, visit)
}

// ListManifests calls visit with each manifest and index of the repository that req names. If visit
// returns an error, ListManifests stops and returns it. It includes manifests without a tag if the
// registry lists them; otherwise an event says that they are left out. The error is [fault.Invalid] for
// a layout and for a name with a tag or a digest.
func (d *Dray) ListManifests(
	ctx context.Context, req LookRequest, obs event.Observer, visit func(ManifestEntry) error,
) error {
	return look.Manifests(ctx, d.base, d.names, look.Request(req), obs, visit)
}

// Metadata returns what the registry knows of an image or a repository, as a JSON object. At an Azure registry it
// is that of Azure's API, with changeableAttributes. Elsewhere it has the same keys, as far as the
// distribution API tells: name, digest and mediaType of an image; registry, imageName and tagCount of a
// repository.
func (d *Dray) Metadata(ctx context.Context, req LookRequest, obs event.Observer) (json.RawMessage, error) {
	return look.Metadata(ctx, d.base, d.names, look.Request(req), obs)
}

// SetAttributes changes what may be done with an image or a repository at an Azure registry, and returns its
// metadata then. Attributes that are nil stay as they are. At any other registry the error is [fault.Refused].
func (d *Dray) SetAttributes(
	ctx context.Context, req LookRequest, a oci.Attributes, obs event.Observer,
) (json.RawMessage, error) {
	return look.SetAttributes(ctx, d.base, d.names, look.Request(req), a, obs)
}

// Tree reads an image, its children, and everything that refers to one of them, such as signatures, with what
// refers to that in turn and with cosign's digest tags. It is what a copy brings by default. The error is
// [fault.TooLarge] for more than 10,000 referrers.
func (d *Dray) Tree(ctx context.Context, req LookRequest, obs event.Observer) (Tree, error) {
	return look.Tree(ctx, d.base, d.names, look.Request(req), obs)
}

// Referrers returns the manifests that refer to an image, such as signatures.
func (d *Dray) Referrers(ctx context.Context, req LookRequest, obs event.Observer) ([]oci.Descriptor, error) {
	return look.Referrers(ctx, d.base, d.names, look.Request(req), obs)
}
