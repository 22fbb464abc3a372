// Package registry is a durable OCI registry in one directory: the storage and
// the handlers of the distribution project in process, and a referrers layer
// over them.
//
// It speaks distribution-spec v1.1.1: pull, push (monolithic, chunked, mounted,
// resumed after a restart), discovery (tags, catalog, referrers) and management
// (deletion of tags, manifests and blobs). It takes what a copy may need to
// write: foreign layers as descriptors, indexes whose children are not all
// there, nested indexes, Docker's types. Digests are sha256.
//
// It has no authentication: whoever reaches the handler may read and write.
//
// Files, in the order of the walk:
//
//	collect.go      removing what nothing needs
//	store_write.go  a repository of the registry written to, without HTTP
//	store.go        and read
//	http.go         the handler: distribution's, with referrers and subjects added
//	registry.go     Registry, opened and closed
//	storage.go      where the content is kept
//	dir.go          the directory: its lock, its secret, what was done to it once
//	log.go          what distribution says
//	referrers.go    manifests by the subject that they name
//	turns.go        one at a time for a key
//	paths.go        the layout of distribution's storage
//	fault.go        what an error of the storage means
package registry
