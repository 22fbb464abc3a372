package look

import (
	"context"
	"encoding/json"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
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
	root, err := document(ctx, s, at, name, req.Platform)
	if err != nil {
		return report.Image{}, err
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
	t := tree{at: at, root: root, docs: map[oci.Digest]oci.Document{}, found: map[oci.Digest]report.Variant{}}
	if err := t.read(ctx); err != nil {
		return report.Image{}, err
	}
	img.Total = t.size(root.Digest, withDocuments)
	whole := t.show(root.Descriptor, map[oci.Digest]bool{})
	img.Platforms = whole.Platforms
	if !root.IsIndex() {
		img.Platforms = []report.Variant{whole}
	}
	return img, nil
}
