package oci

import "time"

// Listed is one tag of a repository, with what the registry's listing says about it.
type Listed struct {
	Tag string

	// Descriptor is what the tag points to. Its Digest is "" if the listing does not contain
	// digests. Its MediaType and Size are zero if the listing does not state them reliably.
	Descriptor Descriptor

	Updated time.Time // when the tag was last set; zero if the listing does not say
	Created time.Time // when the tag was first set; zero if the listing does not say
}
