// Package registry is a durable OCI registry in one directory or one bucket. It uses the storage and the HTTP
// handlers of the distribution project inside this process, and adds the referrers API.
//
// It implements distribution-spec v1.1.1: pull, push (monolithic, chunked, mounted, resumed after a
// restart), discovery (tags, catalog, referrers) and management (deletion of tags, manifests and
// blobs). It accepts everything that a copy may need to write: foreign layers as descriptors,
// indexes of which some children are missing, nested indexes, and Docker's media types. All digests
// are sha256.
//
// Package index finds manifests; package locks keeps what may not be done with them; package tree knows the paths in
// distribution's storage.
//
// It has no authentication. Every client that can reach the handler can read and write.
//
// Files, in the order of the walk:
//
//	collect.go      removes content that nothing needs
//	attributes.go   locks, times, and deletion of a repository and of what is in it
//	store_write.go  writes to a repository of the registry, without HTTP
//	store.go        reads from a repository of the registry, without HTTP
//	http.go         the handler: distribution's handler plus referrers and subjects
//	forbid.go       answers requests that locks forbid, and lists without what may not be listed
//	push.go         admits pushes, and answers those that cannot be stored
//	remove.go       removes manifests, with the tags that lead to them
//	guard.go        what locks forbid
//	registry.go     Registry: open and close
//	fault.go        converts errors of the storage
package registry
