// Package verifier verifies the signatures of images, for drayd verify-signatures. Only drayd links it,
// because the libraries of sigstore and of the Notary Project are large. It sends no request: all that it
// verifies is in its input, and what it trusts is in its input or on disk.
//
// The files, in the order of the walk:
//
//	verifier.go  Main: reads a request, writes an answer
//	cosign.go    signatures of cosign: by keys, or by certificates of Fulcio
//	payload.go   the signatures in cosign's digest tags, as bundles of sigstore
//	notation.go  signatures of the Notary Project
//	check.go     what all of these are
package verifier
