// Package tree knows the paths in distribution's storage that packages of the registry read, write or clean up
// (distribution v3.1.2 registry/storage/paths.go).
package tree

import (
	"crypto/sha256"
	"fmt"
	"path"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/registry/tend"
)

// The directories of all repositories and of all blobs.
const (
	Repositories = tend.Root
	Blobs        = "/docker/registry/v2/blobs"
)

// Blob returns the path of the bytes of a blob or manifest, which all repositories share.
func Blob(d digest.Digest) string {
	return path.Join(Blobs, d.Algorithm().String(), d.Encoded()[:2], d.Encoded(), "data")
}

// Layer returns the directory of the link that makes a blob part of repo.
func Layer(repo string, d digest.Digest) string {
	return path.Join(Repositories, repo, "_layers", d.Algorithm().String(), d.Encoded())
}

// Manifests returns the directory of all that is known of the manifests and tags of repo. A repository without it
// does not exist.
func Manifests(repo string) string { return path.Join(Repositories, repo, "_manifests") }

// Revision returns the directory of the link that makes a manifest part of repo.
func Revision(repo string, d digest.Digest) string {
	return path.Join(Repositories, repo, "_manifests/revisions", d.Algorithm().String(), d.Encoded())
}

// Tag returns the directory that records what a tag points to and what it pointed to before.
func Tag(repo, tag string) string {
	return path.Join(Repositories, repo, "_manifests/tags", tag)
}

// Upload returns the directory of an unfinished upload.
func Upload(repo, id string) string {
	return path.Join(Repositories, repo, "_uploads", id)
}

// UploadID returns the ID of the upload of one blob to one repository. It is always the same, so
// that the next process finds what an earlier process has written, even if that was killed. It
// has the form of a UUID, because the removal of old uploads looks for UUIDs.
func UploadID(repo string, d digest.Digest) string {
	s := sha256.Sum256([]byte(repo + "\x00" + string(d)))
	s[6], s[8] = s[6]&0x0f|0x80, s[8]&0x3f|0x80 // version 8: custom format (RFC 9562 §5.8)
	return fmt.Sprintf("%x-%x-%x-%x-%x", s[:4], s[4:6], s[6:8], s[8:10], s[10:16])
}
