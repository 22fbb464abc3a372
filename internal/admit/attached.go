package admit

import (
	"context"
	"strings"

	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// subjectOf returns the image that a digest tag belongs to: "sha256-HEX.sig", as cosign sets them, or
// "sha256-HEX", the tag schema of referrers (distribution-spec v1.1.1 §Referrers Tag Schema).
func subjectOf(tag string) (oci.Digest, bool) {
	for _, suffix := range []string{".sig", ".att", ".sbom"} {
		tag = strings.TrimSuffix(tag, suffix)
	}
	algorithm, hex, ok := strings.Cut(tag, "-")
	d := algorithm + ":" + hex
	return oci.Digest(d), ok && ref.Digest(d) == nil
}

// belongsTo returns the image that n goes with, if n is a digest tag or refers to an image.
func belongsTo(ctx context.Context, s *place.Session, n ref.Name) (oci.Digest, bool) {
	image, attached := subjectOf(n.Tag)
	if !attached {
		image = oci.Digest(n.Digest)
	}
	if s.Base.Subject == nil || image == "" || n.Tag != "" && !attached {
		return image, attached
	}
	seen := map[oci.Digest]bool{} // a loop ends, and the gate is asked about one of its documents
	for !seen[image] {
		seen[image] = true
		if next := s.Base.Subject(ctx, n.Repo.At(string(image))); next != "" {
			image, attached = next, true
		}
	}
	return image, attached
}
