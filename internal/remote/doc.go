// Package remote is a client of the distribution API (distribution-spec v1.1.1). It reads what a
// registry holds and pushes content to it.
//
// A Client knows the registry hosts. A Repository is one repository at a host, opened for reading
// or for writing. It embeds a reader (package read), a lister (package list) and a pusher (package
// push, which reads its blobs through package feed). Package subject makes what refers to an image
// findable where the registry does not. Every request takes the same path down: package ask repeats
// it, package signin adds the credentials, package wire makes one HTTP exchange, and package limit
// delays it until the registry's limits allow it. Package product holds what is known about registry
// products in advance, and package reason the words for failures.
//
// A credential is sent only to the origin of its registry and to that registry's token service.
// This package does not log. Events and errors contain no query values and no secrets.
//
// Files, in the order of the walk:
//
//	delete.go      deleting tags and manifests, and the proof that they are gone
//	forward.go     passing on the requests of another client
//	rights.go      which actions a login may perform
//	contact.go     how a host is reached: address, proxy, TLS, challenge
//	hosts.go       what is known about a host, and the list of its repositories
//	repository.go  Repository, and opening one
//	names.go       names of the subpackages that callers use
//	client.go      Client and its options
package remote
