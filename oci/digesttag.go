package oci

import (
	"strings"

	"github.com/drayage/dray/ref"
)

// digestTags are the endings of cosign's digest tags: of signatures, attestations and bills of materials.
var digestTags = []string{".sig", ".att", ".sbom"}

// DigestTags returns the tags under which cosign keeps what belongs to the document d: "sha256-….sig",
// "sha256-….att" and "sha256-….sbom". There are none for the digests of sha512, which are too long for a tag.
func DigestTags(d Digest) []string {
	var tags []string
	for _, ending := range digestTags {
		if tag := strings.Replace(string(d), ":", "-", 1) + ending; ref.Tag(tag) == nil {
			tags = append(tags, tag)
		}
	}
	return tags
}

// FallbackTag returns the tag of the list of referrers of d at a registry without the referrers API:
// "sha256-…", the algorithm and the first 64 characters of the sum (distribution-spec v1.1.1 §Referrers
// Tag Schema).
func FallbackTag(d Digest) string {
	algorithm, sum, _ := strings.Cut(string(d), ":")
	algorithm = strings.ReplaceAll(algorithm, "+", "-")
	return algorithm[:min(len(algorithm), 32)] + "-" + sum[:min(len(sum), 64)]
}

// IsDigestTag reports whether tag is a digest tag, such as that of a signature. It belongs to an image, and is no
// version of it.
func IsDigestTag(tag string) bool {
	belongs, list := TaggedFor(tag)
	return belongs != "" && !list
}

// shortest is the length of the shortest digest tag: sha256-, and 64 digits.
const shortest = 71

// TaggedFor returns the document that a digest tag or a fallback tag belongs to, and "" for any other tag. fallback
// says which of both it is.
func TaggedFor(tag string) (d Digest, fallback bool) {
	if len(tag) < shortest { // most tags
		return "", false
	}
	base := tag
	for _, ending := range digestTags {
		base = strings.TrimSuffix(base, ending)
	}
	algorithm, hex, _ := strings.Cut(base, "-")
	d = Digest(algorithm + ":" + hex)
	if d.Validate() != nil {
		return "", false
	}
	return d, base == tag
}
