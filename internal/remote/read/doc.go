// Package read reads one repository: what names point to, documents, blobs, referrers
// (distribution-spec v1.1.1 §Pull, §Listing Referrers). Mirrors are asked first.
//
// Files, in the order of the walk:
//
//	probe.go      whether ranges and referrers can be had
//	referrers.go  what refers to a document
//	blob.go       a blob, or a part of it
//	resolve.go    what a name points to; documents
//	reader.go     Reader, and what answers taught
//	shortcuts.go  where a blob was found behind a redirect
//	cache.go      documents whose reading is counted
package read
