package oci

import (
	"context"
	"io"
	"maps"

	// The algorithms of image-spec v1.1.1 §Digests register themselves.
	_ "crypto/sha256"
	_ "crypto/sha512"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Descriptor names content by digest, size in bytes and media type.
type Descriptor = v1.Descriptor

// Digest is an algorithm and a lower-case hex sum: "sha256:9f86d0…".
type Digest = digest.Digest

// Platform is what an image runs on.
type Platform = v1.Platform

// Media types of documents. Anything else that parses as one of them is copied just the same.
const (
	TypeManifest       = v1.MediaTypeImageManifest
	TypeIndex          = v1.MediaTypeImageIndex
	TypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	TypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	TypeArtifact       = "application/vnd.oci.artifact.manifest.v1+json" // left out of image-spec before 1.1.0, still found
)

// Accept lists what a registry is asked for. Some answer 404 or convert when a type is missing from it.
var Accept = []string{TypeIndex, TypeManifest, TypeDockerList, TypeDockerManifest, TypeArtifact, "*/*;q=0.1"}

// Sum returns the sha256 digest of b.
func Sum(b []byte) Digest { return digest.FromBytes(b) }

// Opener opens content at a byte offset. It may be called again, at another
// offset, when the first reader broke or the target wants to go on elsewhere.
type Opener = func(ctx context.Context, at int64) (io.ReadCloser, error)

// Way says how a blob came to be at a target.
type Way string

const (
	Present Way = "present" // it was there already
	Mounted Way = "mounted" // the registry linked it from another repository
	Sent    Way = "sent"    // bytes were sent
)

// Arrival is the outcome of putting one blob.
type Arrival struct {
	Way  Way
	From string // the repository path it was mounted from
	Sent int64  // bytes sent over all attempts; more than the blob's size when some went twice
}

// Accepted is a registry's answer to a document.
type Accepted struct {
	Tags    []string         // the tags that are known to be set
	Failed  map[string]error // the tags that are not, and why; nil when all are
	Subject Digest           // the subject that the registry says it indexed; "" when it said nothing
}

// And adds what a later answer to the same document says.
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

// IsForeign reports whether mediaType is a layer that its publisher does not
// want pushed (image-spec v1.1.1 §Non-Distributable Layers, Docker's foreign layers).
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

// isBlob reports whether an entry of an index is a blob all the same: BuildKit's
// registry cache lists its layers and its configuration as if they were manifests.
func isBlob(mediaType string) bool {
	switch mediaType {
	case v1.MediaTypeImageLayer, v1.MediaTypeImageLayerGzip, v1.MediaTypeImageLayerZstd,
		"application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.zstd", "application/vnd.buildkit.cacheconfig.v0":
		return true
	}
	return false
}

// PlatformString writes a platform as people do: "linux/arm64/v8", "windows/amd64:10.0.17763.1".
func PlatformString(p *Platform) string {
	if p == nil || p.OS == "" && p.Architecture == "" {
		return ""
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	if p.OSVersion != "" {
		s += ":" + p.OSVersion
	}
	return s
}
