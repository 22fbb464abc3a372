package report

import (
	"encoding/json"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Image is the answer of Dray.Inspect: what one name points to.
type Image struct {
	Name      ref.Name   `json:"name"`
	Digest    oci.Digest `json:"digest"`
	MediaType string     `json:"mediaType"` // of the manifest or index
	Size      int64      `json:"size"`      // bytes of the manifest or index itself
	// Total is the size in bytes of all distinct content of the image, including the manifest or
	// index.
	Total int64 `json:"totalSize"`
	// Platforms are the children of an index, in its order. A single image has one entry.
	Platforms   []Variant         `json:"platforms,omitempty"`
	Subject     oci.Digest        `json:"subject,omitempty"` // the manifest that this one refers to
	Artifact    string            `json:"artifactType,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Foreign are layers that are not copied, because their publisher keeps them.
	Foreign []oci.Descriptor `json:"foreignLayers,omitempty"`
}

// Variant is one child of an index, which may be an index itself, or the image itself if it is not
// an index.
type Variant struct {
	Platform  string     `json:"platform,omitempty"` // "linux/arm64/v8"; "" if it names none
	Missing   bool       `json:"missing,omitempty"`  // an end on disk lacks some or all of its content
	Digest    oci.Digest `json:"digest"`
	MediaType string     `json:"mediaType"`
	// Size is the bytes of the config and the layers. For an index, it is those of all images below
	// it, and each blob counts once.
	Size        int64             `json:"size"`
	Created     *time.Time        `json:"created,omitempty"`
	Config      oci.Digest        `json:"config,omitempty"`
	Layers      []oci.Descriptor  `json:"layers,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Platforms are the children of an index, in its order. An index that several indexes list has
	// them only at its first place.
	Platforms []Variant `json:"platforms,omitempty"`
}

// Tree is an image with everything that belongs to it: its children, what refers to one of them, and what
// refers to that.
type Tree struct {
	Name  ref.Name `json:"name"`
	Total int64    `json:"totalSize"` // bytes of all distinct content, including manifests and indexes
	Count int      `json:"count"`     // of the referrers
	Node
}

// Node is one document of a [Tree].
type Node struct {
	Digest       oci.Digest        `json:"digest"`
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"` // of an artifact; otherwise the media type of its config
	Platform     string            `json:"platform,omitempty"`     // as the index says
	Tag          string            `json:"tag,omitempty"`          // the digest tag under which the document was found
	Size         int64             `json:"size"`                   // bytes of the document itself
	Content      int64             `json:"contentSize"`            // bytes of the document, its config and its layers
	Annotations  map[string]string `json:"annotations,omitempty"`
	Missing      bool              `json:"missing,omitempty"`   // it is listed, and the repository does not have it
	Repeated     bool              `json:"repeated,omitempty"`  // what is below it is shown at its first place
	Children     []Node            `json:"children,omitempty"`  // of an index, in its order
	Referrers    []Node            `json:"referrers,omitempty"` // what refers to the document
}

// Entry is one line of a listing: a repository, or a tag with its digest.
type Entry struct {
	Repository ref.Repo   `json:"-"`
	Name       string     `json:"name"` // "HOST/REPO" or "HOST/REPO:TAG"
	Tag        string     `json:"tag,omitempty"`
	Digest     oci.Digest `json:"digest,omitempty"`
	Updated    *time.Time `json:"lastUpdateTime,omitempty"` // nil if the registry does not say
	Created    *time.Time `json:"createdTime,omitempty"`    // nil if the registry does not say
	Err        error      `json:"-"`                        // the tag is listed, but its digest could not be read
}

// MarshalJSON returns the entry as JSON. If Err is set, it adds the error as a [plan.Problem].
func (e Entry) MarshalJSON() ([]byte, error) {
	type plain Entry
	out := struct {
		plain
		Problem *plan.Problem `json:"error,omitempty"`
	}{plain: plain(e)}
	if e.Err != nil {
		out.Problem = plan.ProblemOf(e.Err)
	}
	return json.Marshal(out)
}

// RemoveWhat says what a RemoveRequest removes:
//
//   - [RemoveTag]: one tag.
//   - [RemoveManifest]: a manifest with all its tags.
type RemoveWhat string

const (
	// RemoveTag removes the tag alone. What it points to stays.
	RemoveTag RemoveWhat = "tag"

	// RemoveManifest removes the manifest or index that the name points to, with all its tags.
	RemoveManifest RemoveWhat = "manifest"
)

// Removal is the answer of Dray.PlanRemove: what Dray.Remove will remove.
type Removal struct {
	What   RemoveWhat `json:"what"`
	Image  ref.Name   `json:"image"`  // as requested
	Digest oci.Digest `json:"digest"` // what it points to
	Tags   []string   `json:"tags"`   // the tags to remove, in order: one, or for a manifest all that point to it
}

// Manifest is one manifest or index of a repository. The names of its JSON fields are those of
// `az acr manifest list-metadata`. What the registry does not say is left out.
type Manifest struct {
	Digest    oci.Digest `json:"digest"`
	Tags      []string   `json:"tags,omitempty"`
	Size      int64      `json:"imageSize,omitempty"` // bytes, as the registry counts them
	Created   *time.Time `json:"createdTime,omitempty"`
	Updated   *time.Time `json:"lastUpdateTime,omitempty"`
	MediaType string     `json:"mediaType,omitempty"`
	Arch      string     `json:"architecture,omitempty"`
	OS        string     `json:"os,omitempty"`
}
