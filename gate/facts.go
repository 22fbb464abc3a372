package gate

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/oci"
)

// Platforms returns the platforms that the image has, each once, in the order of its index. A platform
// that an index does not say is read from the config of its manifest. Attestations have none.
func (i *Image) Platforms(ctx context.Context) ([]oci.Platform, error) {
	docs, err := i.Documents(ctx)
	if err != nil {
		return nil, err
	}
	said := map[oci.Digest]*oci.Platform{}
	for _, doc := range docs {
		for _, child := range doc.Documents {
			said[child.Digest] = child.Platform
		}
	}
	var all []oci.Platform
	for _, doc := range docs {
		p := said[doc.Digest]
		if !doc.IsIndex() && (p == nil || p.OS == "") {
			config, ok, err := i.config(ctx, doc)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			p = &config.Platform
		}
		known := func(q oci.Platform) bool { return oci.PlatformString(&q) == oci.PlatformString(p) }
		if doc.IsIndex() || p.OS == "" || p.OS == "unknown" || slices.ContainsFunc(all, known) {
			continue
		}
		all = append(all, *p)
	}
	return all, nil
}

// Size returns the bytes that the image consists of: its manifests, configs and layers, each once.
func (i *Image) Size(ctx context.Context) (int64, error) {
	docs, err := i.Documents(ctx)
	if err != nil {
		return 0, err
	}
	var sum int64
	seen := map[oci.Digest]bool{}
	for _, doc := range docs {
		sum += doc.Size
		for _, b := range doc.Blobs {
			if !seen[b.Digest] {
				seen[b.Digest] = true
				sum += b.Size
			}
		}
	}
	return sum, nil
}

// Created returns when the image was built, by its own words: the newest time in the configs of its
// manifests, or in their annotation org.opencontainers.image.created. It is zero if one of them has no
// time, since nothing is then known about its age. All times before 2013 count as no time: there were no
// images then, and reproducible builds write such times.
func (i *Image) Created(ctx context.Context) (time.Time, error) {
	docs, err := i.Documents(ctx)
	if err != nil {
		return time.Time{}, err
	}
	var newest time.Time
	for _, doc := range docs {
		if doc.IsIndex() || isAttestation(docs, doc.Digest) {
			continue
		}
		when, err := i.createdOf(ctx, doc)
		if err != nil || when.IsZero() {
			return time.Time{}, err
		}
		if when.After(newest) {
			newest = when
		}
	}
	return newest, nil
}

func (i *Image) createdOf(ctx context.Context, doc oci.Document) (time.Time, error) {
	config, ok, err := i.config(ctx, doc)
	if err != nil {
		return time.Time{}, err
	}
	if ok && config.Created != nil && config.Created.Year() >= 2013 {
		return *config.Created, nil
	}
	var fields struct {
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal(doc.Raw, &fields) != nil {
		return time.Time{}, nil
	}
	when, err := time.Parse(time.RFC3339, fields.Annotations[v1.AnnotationCreated])
	if err != nil || when.Year() < 2013 {
		return time.Time{}, nil
	}
	return when, nil
}

// isAttestation reports whether an index lists d as an attestation of buildkit, which is no image.
func isAttestation(docs []oci.Document, d oci.Digest) bool {
	for _, doc := range docs {
		for _, child := range doc.Documents {
			if child.Digest == d && child.Annotations[oci.AnnotationRole] == "attestation-manifest" {
				return true
			}
		}
	}
	return false
}

// config reads the config of a manifest. ok is false if it has none that describes an image.
func (i *Image) config(ctx context.Context, doc oci.Document) (c v1.Image, ok bool, err error) {
	if doc.Config == nil || doc.Config.Size > MaxBlob {
		return c, false, nil
	}
	i.mu.Lock()
	c, known := i.configs[doc.Config.Digest]
	i.mu.Unlock()
	if known {
		return c, true, nil
	}
	raw, err := i.Blob(ctx, *doc.Config)
	if err != nil {
		return c, false, err
	}
	if json.Unmarshal(raw, &c) != nil {
		return v1.Image{}, false, nil // an artifact whose config is not JSON, or another kind of JSON
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.configs[doc.Config.Digest] = c
	return c, true, nil
}
