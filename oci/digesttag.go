package oci

import "strings"

// digestTags are the endings of cosign's digest tags: of signatures, attestations and bills of materials.
var digestTags = []string{".sig", ".att", ".sbom"}

// DigestTags returns the tags under which cosign keeps what belongs to the document d: "sha256-….sig",
// "sha256-….att" and "sha256-….sbom".
func DigestTags(d Digest) []string {
	tags := make([]string, len(digestTags))
	for i, ending := range digestTags {
		tags[i] = FallbackTag(d) + ending
	}
	return tags
}

// FallbackTag returns the tag of the list of referrers of d at a registry without the referrers API:
// "sha256-…" (distribution-spec v1.1.1 §Referrers Tag Schema).
func FallbackTag(d Digest) string { return strings.Replace(string(d), ":", "-", 1) }

// TaggedFor returns the document that a digest tag or a fallback tag belongs to, and "" for any other tag. fallback
// says which of both it is.
func TaggedFor(tag string) (d Digest, fallback bool) {
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
