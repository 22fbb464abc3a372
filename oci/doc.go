// Package oci holds the parts of an OCI image as Go values: descriptors, manifests and indexes, the
// tags of a listing, and what happened to a blob on its way to a target.
//
// [Parse] reads the bytes of a manifest or an index once and returns a [Document], which keeps these
// bytes and never changes them. Parse refuses a document that two programs could read differently. A
// [Verifier] checks the bytes of a blob against its [Descriptor] while they pass.
//
//	doc, err := oci.Parse(want, raw)
//	if err != nil {
//		return err // for example fault.Corrupt: raw does not match want
//	}
//	for _, b := range doc.Blobs {
//		fmt.Println(b.Digest, b.Size)
//	}
//
// Most programs need this package for the types in the answers of package dray only.
//
// It follows image-spec v1.1.1 and Docker's image manifest v2 schema 2.
//
// # Files
//
// In the order of the walk:
//
//	locks.go     what a registry forbids to do with a tag
//	listed.go    a tag in a listing
//	trim.go      some platforms of an index
//	referrer.go  how a document is listed below its subject
//	document.go  manifests and indexes, read once
//	strict.go    JSON that can be read in one way only
//	digesttag.go tags that belong to a digest
//	verify.go    bytes checked against their descriptor
//	proof.go     how much to check at a target; what happened to the blobs
//	platform.go  platforms, as people write them
//	oci.go       descriptors, media types
package oci
