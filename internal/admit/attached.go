package admit

import (
	"strings"

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
