package oci

import (
	"cmp"
	"encoding/json"
)

// AsReferrer returns the descriptor with which a list of referrers names d: it has the artifact type
// of d or, if there is none, the media type of its config, and all annotations of d
// (distribution-spec v1.1.1 §Listing Referrers, §Referrers Tag Schema).
func (d Document) AsReferrer() Descriptor {
	r := Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
	var says struct {
		ArtifactType string            `json:"artifactType"`
		Annotations  map[string]string `json:"annotations"`
	}
	if json.Unmarshal(d.Raw, &says) == nil {
		r.ArtifactType, r.Annotations = says.ArtifactType, says.Annotations
	}
	if d.Config != nil {
		r.ArtifactType = cmp.Or(r.ArtifactType, d.Config.MediaType)
	}
	return r
}

// TypesAsReferrer returns the types by which d is chosen or required as a referrer: its artifact type, as in
// AsReferrer, and the media types of its layers, by which cosign tells apart what it stores.
func (d Document) TypesAsReferrer() []string {
	var types []string
	if own := d.AsReferrer().ArtifactType; own != "" {
		types = append(types, own)
	}
	for _, b := range d.Blobs {
		if d.Config == nil || b.Digest != d.Config.Digest {
			types = append(types, b.MediaType)
		}
	}
	return types
}

// HasListedSubject reports whether registries list d as a referrer of its subject. They do so for OCI
// manifests and indexes; in other documents, the field means nothing to them.
func (d Document) HasListedSubject() bool {
	return d.Subject != nil && (d.MediaType == TypeManifest || d.MediaType == TypeIndex)
}
