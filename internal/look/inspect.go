package look

import (
	"context"
	"encoding/json"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/report"
)

// Inspect reads the documents of an image and the configuration of each platform.
func Inspect(
	ctx context.Context, b *place.Base, names *name.Reader, req Request, obs event.Observer,
) (report.Image, error) {
	name, at, s, err := open(b, names, req, obs)
	if err != nil {
		return report.Image{}, err
	}
	defer s.Release()
	root, err := at.Document(ctx, survey.Reference(name))
	if err != nil {
		return report.Image{}, survey.Nearest(ctx, s, name, err)
	}
	img := report.Image{
		Name:      name,
		Digest:    root.Digest,
		MediaType: root.MediaType,
		Size:      root.Size,
		Foreign:   root.Foreign,
	}
	if root.Subject != nil {
		img.Subject = root.Subject.Digest
	}
	var more struct {
		ArtifactType string
		Annotations  map[string]string
	}
	if err := json.Unmarshal(root.Raw, &more); err != nil {
		return report.Image{}, fault.Misuse("inspect", name.String(), err.Error(), "")
	}
	img.Artifact, img.Annotations = more.ArtifactType, more.Annotations
	if !root.IsIndex() {
		v, err := variant(ctx, at, root)
		img.Platforms = []report.Variant{v}
		total(&img, root, nil)
		return img, err
	}
	img.Platforms = make([]report.Variant, len(root.Documents))
	docs := make([]oci.Document, len(root.Documents))
	err = place.Each(ctx, place.Lookups, place.IndexesOf(root.Documents), func(ctx context.Context, i int) (err error) {
		child := root.Documents[i]
		if docs[i], err = at.Document(ctx, string(child.Digest)); err != nil {
			return err
		}
		if img.Platforms[i], err = variant(ctx, at, docs[i]); err != nil {
			return err
		}
		if p := oci.PlatformString(child.Platform); p != "" {
			img.Platforms[i].Platform = p
		}
		img.Platforms[i].Annotations = child.Annotations
		return nil
	})
	total(&img, root, docs)
	return img, err
}

// total sets i.Total to the size of all content, each digest counted once.
func total(i *report.Image, root oci.Document, children []oci.Document) {
	seen := map[oci.Digest]bool{}
	for _, doc := range append([]oci.Document{root}, children...) {
		for _, c := range append([]oci.Descriptor{doc.Descriptor}, doc.Blobs...) {
			if !seen[c.Digest] {
				seen[c.Digest] = true
				i.Total += c.Size
			}
		}
	}
}

// variant describes one manifest. The platform and the creation time come from the configuration,
// if it is that of a container image.
func variant(ctx context.Context, at place.Repository, doc oci.Document) (report.Variant, error) {
	v := report.Variant{Digest: doc.Digest, MediaType: doc.MediaType}
	for _, b := range doc.Blobs {
		v.Size += b.Size
	}
	if doc.Config == nil {
		v.Layers = doc.Blobs
		return v, nil
	}
	v.Config = doc.Config.Digest
	isConfig := func(b oci.Descriptor) bool { return b.Digest == doc.Config.Digest }
	v.Layers = append(slices.DeleteFunc(slices.Clone(doc.Blobs), isConfig), doc.Foreign...)
	switch doc.Config.MediaType {
	case v1.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json":
	default:
		return v, nil
	}
	raw, err := place.ReadSmall(ctx, at, *doc.Config)
	if err != nil {
		return v, err
	}
	var config v1.Image
	if err := json.Unmarshal(raw, &config); err != nil {
		return v, nil // an invalid configuration is no error here: the container runtime reports it
	}
	v.Platform = oci.PlatformString(&config.Platform)
	v.Created = config.Created
	return v, nil
}
