package report

import (
	"encoding/json"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Image is what Inspect tells of one name.
type Image struct {
	Name        ref.Name          `json:"name"`
	Digest      oci.Digest        `json:"digest"`
	MediaType   string            `json:"mediaType"`
	Size        int64             `json:"size"`                // bytes of the document itself
	Total       int64             `json:"totalSize"`           // bytes of all distinct content below it, itself included
	Platforms   []Variant         `json:"platforms,omitempty"` // children of an index, in its order; one entry for a plain image
	Subject     oci.Digest        `json:"subject,omitempty"`
	Artifact    string            `json:"artifactType,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Foreign     []oci.Descriptor  `json:"foreignLayers,omitempty"` // layers that stay with their publisher
}

// Variant is one child of an index, or the image itself.
type Variant struct {
	Platform    string            `json:"platform,omitempty"` // "linux/arm64/v8"; "" when it names none
	Digest      oci.Digest        `json:"digest"`
	MediaType   string            `json:"mediaType"`
	Size        int64             `json:"size"` // bytes of config and layers
	Created     *time.Time        `json:"created,omitempty"`
	Config      oci.Digest        `json:"config,omitempty"`
	Layers      []oci.Descriptor  `json:"layers,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Entry is one line of a listing: a repository, or a tag with its digest.
type Entry struct {
	Repository ref.Repo   `json:"-"`
	Name       string     `json:"name"` // "HOST/REPO" or "HOST/REPO:TAG"
	Tag        string     `json:"tag,omitempty"`
	Digest     oci.Digest `json:"digest,omitempty"`
	Updated    *time.Time `json:"lastUpdateTime,omitempty"` // nil where the registry does not tell
	Created    *time.Time `json:"createdTime,omitempty"`    // nil where the registry does not tell
	Err        error      `json:"-"`                        // the tag is listed, and its digest could not be had
}

// MarshalJSON writes the entry and, where its digest could not be had, the problem.
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

// RemoveWhat says what a RemoveRequest takes away.
type RemoveWhat string

const (
	RemoveTag      RemoveWhat = "tag"      // the tag alone; what it points to stays
	RemoveManifest RemoveWhat = "manifest" // what the name points to, with all its tags
)

// Removal is what Remove will take away.
type Removal struct {
	What   RemoveWhat `json:"what"`
	Image  ref.Name   `json:"image"`  // as it was asked for
	Digest oci.Digest `json:"digest"` // what it points to
	Tags   []string   `json:"tags"`   // that go: the one, or of a manifest all that point to it, in order
}

// Manifest is one manifest of a repository. Its JSON names are those of
// `az acr manifest list-metadata`; what the registry does not tell is left out.
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
