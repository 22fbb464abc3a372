package oci

import (
	"context"
	"io"
	"maps"

	// These register the digest algorithms of image-spec v1.1.1 §Digests.
	_ "crypto/sha256"
	_ "crypto/sha512"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Descriptor identifies content by its digest, its size in bytes and its media type.
type Descriptor = v1.Descriptor

// Digest is an algorithm and a lower-case hex sum: "sha256:9f86d0…".
type Digest = digest.Digest

// Platform is the operating system and the architecture that an image is for.
type Platform = v1.Platform

// Media types of manifests and indexes. dray also copies a document of any other media type, if its
// content has the form of a manifest or an index.
const (
	// TypeManifest is the media type of an OCI image manifest.
	TypeManifest = v1.MediaTypeImageManifest

	// TypeIndex is the media type of an OCI image index.
	TypeIndex = v1.MediaTypeImageIndex

	// TypeDockerManifest is the media type of Docker's image manifest v2 schema 2.
	TypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"

	// TypeDockerList is the media type of Docker's manifest list, which is an index.
	TypeDockerList = "application/vnd.docker.distribution.manifest.list.v2+json"

	// TypeArtifact is the media type of the OCI artifact manifest. It was removed from image-spec
	// before 1.1.0, but registries still hold such manifests.
	TypeArtifact = "application/vnd.oci.artifact.manifest.v1+json"
)

// Accept lists the media types for the Accept header of requests for manifests. If a media type is missing from
// it, some registries answer 404 or convert the manifest.
var Accept = []string{TypeIndex, TypeManifest, TypeDockerList, TypeDockerManifest, TypeArtifact, "*/*;q=0.1"}

// Sum returns the sha256 digest of b.
func Sum(b []byte) Digest { return digest.FromBytes(b) }

// Opener opens content at the byte offset at. It may be called again with another offset, if the
// first reader failed or the target has to continue at another byte.
type Opener = func(ctx context.Context, at int64) (io.ReadCloser, error)

// Way says how a blob came to be at a target: it was [Present], it was [Mounted], its bytes were
// [Sent], or it was [Brought].
type Way string

const (
	// Present means that the target already had the blob.
	Present Way = "present"

	// Mounted means that the registry linked the blob from another repository.
	Mounted Way = "mounted"

	// Sent means that the bytes of the blob were sent.
	Sent Way = "sent"

	// Brought means that a service at the target imported the blob, such as that of Azure.
	Brought Way = "brought"
)

// Arrival is the outcome of putting one blob.
type Arrival struct {
	Way  Way
	From string // for Mounted: the path of the repository that it was mounted from
	Sent int64  // bytes sent in all attempts; more than the blob's size if some were sent twice
}

// Accepted is the answer of a registry to a manifest or an index that was put.
type Accepted struct {
	Tags    []string         // the tags that are known to be set
	Failed  map[string]error // the tags that are not set, and why; nil if all are set
	Subject Digest           // the subject that the registry says it indexed; "" if it said nothing
}

// And returns a together with a later answer to the same document.
func (a Accepted) And(later Accepted) Accepted {
	a.Tags = append(a.Tags, later.Tags...)
	if a.Failed == nil {
		a.Failed = later.Failed
	} else {
		maps.Copy(a.Failed, later.Failed)
	}
	if a.Subject == "" {
		a.Subject = later.Subject
	}
	return a
}

// IsForeign reports whether mediaType is that of a layer that its publisher does not want to be pushed
// elsewhere: see image-spec v1.1.1 §Non-Distributable Layers, and Docker's foreign layers.
func IsForeign(mediaType string) bool {
	switch mediaType {
	case "application/vnd.docker.image.rootfs.foreign.diff.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd":
		return true
	}
	return false
}

// isBlob reports whether an entry of an index with this media type is a blob and not a manifest.
// BuildKit's registry cache lists its layers and its configuration in an index.
func isBlob(mediaType string) bool {
	switch mediaType {
	case v1.MediaTypeImageLayer, v1.MediaTypeImageLayerGzip, v1.MediaTypeImageLayerZstd,
		"application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.zstd", "application/vnd.buildkit.cacheconfig.v0":
		return true
	}
	return false
}
