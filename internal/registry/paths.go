package registry

import (
	"crypto/sha256"
	"fmt"
	"path"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/registry/tend"
)

// Paths in distribution's storage that this package itself writes to or cleans up (distribution
// v3.1.2 registry/storage/paths.go).
const (
	storageRoot  = "/docker/registry/v2"
	repositories = tend.Root
	allBlobs     = storageRoot + "/blobs"
)

// blobPath returns the path of the bytes of a blob or manifest, which all repositories share.
func blobPath(d digest.Digest) string {
	return path.Join(allBlobs, d.Algorithm().String(), d.Encoded()[:2], d.Encoded(), "data")
}

// layerDir returns the directory of the link that makes a blob part of repo.
func layerDir(repo string, d digest.Digest) string {
	return path.Join(repositories, repo, "_layers", d.Algorithm().String(), d.Encoded())
}

// revisionDir returns the directory of the link that makes a manifest part of repo.
func revisionDir(repo string, d digest.Digest) string {
	return path.Join(repositories, repo, "_manifests/revisions", d.Algorithm().String(), d.Encoded())
}

// tagDir returns the directory that records what a tag points to and what it pointed to before.
func tagDir(repo, tag string) string {
	return path.Join(repositories, repo, "_manifests/tags", tag)
}

func uploadDir(repo, id string) string {
	return path.Join(repositories, repo, "_uploads", id)
}

// uploadID returns the ID of the upload of one blob to one repository. It is always the same, so
// that the next process finds what an earlier process has written, even if that was killed. It
// has the form of a UUID, because the removal of old uploads looks for UUIDs.
func uploadID(repo string, d digest.Digest) string {
	s := sha256.Sum256([]byte(repo + "\x00" + string(d)))
	s[6], s[8] = s[6]&0x0f|0x80, s[8]&0x3f|0x80 // version 8: custom format (RFC 9562 §5.8)
	return fmt.Sprintf("%x-%x-%x-%x-%x", s[:4], s[4:6], s[6:8], s[8:10], s[10:16])
}
