// Package read reads one repository: the targets of tags and digests, documents, blobs and
// referrers (distribution-spec v1.1.1 §Pull, §Listing Referrers). It asks mirrors first,
// but for tags the registry.
//
// Files, in the order of the walk:
//
//	probe.go      whether the registry supports ranges
//	referrers.go  the documents that refer to a document
//	blob.go       a blob, or a part of it
//	tagged.go     the target of a tag or digest, and documents: at the registry or a mirror
//	resolve.go    the target of a tag or digest; documents
//	mirrors.go    asking mirrors first, and leaving out those that do not answer
//	reader.go     Reader, and what answers taught
//	codings.go    whether a blob is decoded
//	shortcuts.go  where a redirect for a blob led
//	asked.go      which tag led to a digest
//	cache.go      documents whose reading counts as a pull
//	standing.go   whether a mirror answers
//	outage.go     whether a registry with mirrors can be asked for tags
package read
