// Package oci holds the documents of the OCI image format as values:
// descriptors, manifests and indexes, read from bytes once and never changed.
//
// It follows image-spec v1.1.1 and Docker's image manifest v2 schema 2.
//
// Files, in the order of the walk:
//
//	locks.go     what a registry lets nobody do with a tag
//	listed.go    a tag as a listing tells of it
//	document.go  manifests and indexes, read once
//	strict.go    JSON that reads one way only
//	verify.go    bytes held against their descriptor
//	proof.go     how far a target is believed; what became of blobs
//	oci.go       descriptors, media types
package oci
