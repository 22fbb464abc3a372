package oci

import "time"

// Listed is a tag as a repository's own listing tells of it.
type Listed struct {
	Tag string

	// Descriptor is what the tag points to. Its Digest is "" where the listing
	// does not tell; MediaType and Size are zero where it is not certain of them.
	Descriptor Descriptor

	Updated time.Time // when the tag was set last; zero where that is not told
	Created time.Time // when the tag was set first; zero where that is not told
}
