package registry

import (
	"crypto/sha256"
	"fmt"
	"path"

	"github.com/opencontainers/go-digest"
)

// The layout of distribution's storage, as far as we write and clean it ourselves
// (distribution v3.1.2 registry/storage/paths.go).
const (
	storageRoot  = "/docker/registry/v2"
	repositories = storageRoot + "/repositories"
	allBlobs     = storageRoot + "/blobs"
)

// blobPath is where the bytes of a blob, or of a manifest, are kept for all repositories.
func blobPath(d digest.Digest) string {
	return path.Join(allBlobs, d.Algorithm().String(), d.Encoded()[:2], d.Encoded(), "data")
}

// layerDir holds the link that makes a blob one of repo's.
func layerDir(repo string, d digest.Digest) string {
	return path.Join(repositories, repo, "_layers", d.Algorithm().String(), d.Encoded())
}

// revisionDir holds the link that makes a manifest one of repo's.
func revisionDir(repo string, d digest.Digest) string {
	return path.Join(repositories, repo, "_manifests/revisions", d.Algorithm().String(), d.Encoded())
}

// tagDir holds what a tag points to, and what it pointed to before.
func tagDir(repo, tag string) string {
	return path.Join(repositories, repo, "_manifests/tags", tag)
}

func uploadDir(repo, id string) string {
	return path.Join(repositories, repo, "_uploads", id)
}

// uploadID is the upload of one blob to one repository: the next process finds
// what an earlier one, killed or not, had brought. It is a UUID by its form,
// which is what the removal of old uploads goes by.
func uploadID(repo string, d digest.Digest) string {
	s := sha256.Sum256([]byte(repo + "\x00" + string(d)))
	s[6], s[8] = s[6]&0x0f|0x80, s[8]&0x3f|0x80 // version 8: made by rules of our own (RFC 9562 §5.8)
	return fmt.Sprintf("%x-%x-%x-%x-%x", s[:4], s[4:6], s[6:8], s[8:10], s[10:16])
}
