package acr

import (
	"context"
	"encoding/json"
	"time"

	"github.com/drayage/dray/oci"
)

// Shelf is a registry whose content is described. Errors are Faults: NotFound for what does not exist, Conflict for
// what is locked, Refused for what the registry cannot do.
type Shelf interface {
	// Repositories calls visit with the path of each repository. If visit returns an error, it returns that error.
	Repositories(ctx context.Context, visit func(path string) error) error
	// Tags and Manifests list a repository, in any order. Entries may lack what Complete adds.
	Tags(ctx context.Context, repo string) ([]Tag, error)
	Manifests(ctx context.Context, repo string) ([]Manifest, error)
	// CompleteTags and CompleteManifests add to entries what costs a request for each. With only Times they add the
	// times alone. Entries that have gone meanwhile are removed.
	CompleteTags(ctx context.Context, repo string, tags []Tag) ([]Tag, error)
	CompleteManifests(ctx context.Context, repo string, manifests []Manifest, what Part) ([]Manifest, error)

	Repository(ctx context.Context, repo string) (Repository, error)
	Tag(ctx context.Context, repo, tag string) (Tag, error)
	Manifest(ctx context.Context, repo, digest string) (Manifest, error)

	// Change changes what may be done with name: a tag, a digest, or "" for the repository.
	Change(ctx context.Context, repo, name string, a oci.Attributes) error
	// Delete removes a tag alone, or a manifest with all its tags.
	Delete(ctx context.Context, repo, name string) error
	// DeleteRepository removes a repository, and returns how much it has removed.
	DeleteRepository(ctx context.Context, repo string) (manifests, tags int, err error)
}

// Part says what CompleteManifests adds.
type Part int

// The parts of the description of a manifest.
const (
	Times Part = iota
	All
)

// Stamp is a time in Azure's form. The zero Stamp is left out.
type Stamp struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (s Stamp) MarshalJSON() ([]byte, error) {
	return json.Marshal(s.UTC().Format("2006-01-02T15:04:05.0000000Z"))
}

// Attributes are what may be done with a repository, a tag or a manifest.
type Attributes struct {
	Delete bool `json:"deleteEnabled"`
	Write  bool `json:"writeEnabled"`
	Read   bool `json:"readEnabled"`
	List   bool `json:"listEnabled"`
}

// Repository is RepositoryAttributes of Azure's data plane.
type Repository struct {
	Registry   string     `json:"registry"`
	ImageName  string     `json:"imageName"`
	Created    Stamp      `json:"createdTime,omitzero"`
	Updated    Stamp      `json:"lastUpdateTime,omitzero"`
	Manifests  int        `json:"manifestCount"`
	Tags       int        `json:"tagCount"`
	Attributes Attributes `json:"changeableAttributes"`
}

// Tag is TagAttributesBase of Azure's data plane.
type Tag struct {
	Name       string     `json:"name"`
	Digest     string     `json:"digest"`
	Created    Stamp      `json:"createdTime,omitzero"`
	Updated    Stamp      `json:"lastUpdateTime,omitzero"`
	Signed     bool       `json:"signed"`
	Attributes Attributes `json:"changeableAttributes"`
}

// Manifest is ManifestAttributesBase of Azure's data plane.
type Manifest struct {
	Digest     string      `json:"digest"`
	Size       int64       `json:"imageSize,omitempty"` // bytes of the config and the layers; of an index, its own
	Created    Stamp       `json:"createdTime,omitzero"`
	Updated    Stamp       `json:"lastUpdateTime,omitzero"`
	Arch       string      `json:"architecture,omitempty"`
	OS         string      `json:"os,omitempty"`
	MediaType  string      `json:"mediaType,omitempty"`
	ConfigType string      `json:"configMediaType,omitempty"`
	Tags       []string    `json:"tags,omitempty"`
	References []Reference `json:"references,omitempty"`
	Attributes Attributes  `json:"changeableAttributes"`
}

// Reference is a child of an index.
type Reference struct {
	Digest string `json:"digest"`
	Arch   string `json:"architecture,omitempty"`
	OS     string `json:"os,omitempty"`
}
